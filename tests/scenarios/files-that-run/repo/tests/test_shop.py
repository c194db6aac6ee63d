import unittest

import shop


class Total(unittest.TestCase):
    def test_total_adds_up(self):
        self.assertEqual(shop.total([100, 250]), 350)

    def test_total_of_nothing_is_zero(self):
        self.assertEqual(shop.total([]), 0)
