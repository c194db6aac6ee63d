import unittest

import shop


class Subtotal(unittest.TestCase):
    def test_lines_add_up(self):
        self.assertEqual(shop.subtotal([(250, 2), (100, 1)]), 600)

    def test_nothing_costs_nothing(self):
        self.assertEqual(shop.subtotal([]), 0)


class Postage(unittest.TestCase):
    def test_a_heavy_parcel_costs_more(self):
        self.assertLess(shop.postage(1000), shop.postage(1001))

    def test_a_parcel_weighs_something(self):
        with self.assertRaises(ValueError):
            shop.postage(0)
