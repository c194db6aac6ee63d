//! A component that exports an interface of the right name with functions of its own. It must be refused when it is loaded, not when
//! it is first needed.

wit_bindgen::generate!({
    inline: "
        package borg:plugin@0.2.0;
        interface persona {
            record persona-info { name: string }
            describe: func() -> persona-info;
            brief: func() -> string;
            accept: func() -> string;
        }
        world misfit {
            export persona;
        }
    ",
});

use exports::borg::plugin::persona::{Guest, PersonaInfo};

struct Misfit;

impl Guest for Misfit {
    fn describe() -> PersonaInfo {
        PersonaInfo { name: "misfit".into() }
    }

    fn brief() -> String {
        String::new()
    }

    fn accept() -> String {
        String::new()
    }
}

export!(Misfit);
