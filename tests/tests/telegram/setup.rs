//! A bot being set up: the stored token, what `doctor` makes of it, and that it stands nowhere but where the operator put it.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use borg_tests::{
    bot_api::{BotApi, Fault, Options, Privacy, Rule},
    crash::{self, Sandbox, traces, warm},
    harness::Host,
    hunt::Hunt,
};
use std::{fs, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);
const TOKEN: &str = "7654321:AAHtt3Zq9-Wm4Kx_Lp8Rb2Nc6Vd1Gf5Sj7Y";

/// A host, not started, with the token stored as the README says; none when the program is not built.
#[track_caller]
fn installation(api: &BotApi) -> Option<Host> {
    let setup = crash::setup_of_any(Sandbox::strongest())?.env("TELEGRAM_API_URL", &api.url());
    let host = setup.write().unwrap();
    warm::before(&host).unwrap();
    let stored = host.cli_with(&["secret", "set", "telegram"], TOKEN).unwrap().success();
    assert!(stored.stdout.contains("Telegram") && !format!("{stored:?}").contains(TOKEN), "{stored:?}");
    Some(host)
}

fn bot() -> BotApi {
    BotApi::with(Options { token: TOKEN.into(), ..Options::default() }).unwrap()
}

/// The line of `doctor` about the bot.
fn diagnosis(host: &Host) -> String {
    let told = host.cli(&["doctor"]).unwrap().stdout;
    let at = told.find(" telegram: ").unwrap_or_else(|| panic!("nothing about Telegram in:\n{told}"));
    told[told[..at].rfind('\n').map_or(0, |end| end + 1)..].lines().take(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn doctor_says_who_the_bot_is_and_what_it_hears() {
    let api = bot();
    let Some(host) = installation(&api) else { return };
    api.set_privacy(Privacy::On);
    let told = diagnosis(&host);
    assert!(told.starts_with("good") && told.contains("@borg_bot") && told.contains("/setprivacy"), "{told}");
    api.set_privacy(Privacy::Off);
    let told = diagnosis(&host);
    assert!(told.starts_with("good") && told.contains("hears all"), "{told}");
    api.revoke_token();
    let told = diagnosis(&host);
    assert!(told.starts_with("FAULT") && told.contains("borg-host secret set telegram"), "{told}");
}

#[test]
fn the_bots_token_is_nowhere_else() {
    let api = bot();
    let Some(mut host) = installation(&api) else { return };
    // Every kind of failure is told, and every address has the token in it.
    for fault in [Fault::Gateway(502), Fault::Unauthorized, Fault::DropBefore, Fault::DropAfter, Fault::Malformed] {
        api.fail(Rule::on("getUpdates").next(1), fault);
    }
    host.start().unwrap();
    let ann = api.person("Ann");
    let chat = api.private(ann);
    api.fail(Rule::on("sendMessage").next(1), Fault::DropBefore);
    let log = host.log();
    let code = log.split_once("/start ").unwrap().1.split('`').next().unwrap().to_owned();
    api.say(chat, ann, format!("/start {code}").as_str());
    api.wait_text(chat, "owner", LIMIT * 3).unwrap_or_else(|error| panic!("{error:#}\n{}", host.log()));
    assert!(host.log().contains("Telegram cannot be asked"), "{}", host.log());
    // Her terminal showed it: she is the one who owns this host there.
    let people = fs::read_to_string(host.dir().join("policies/policy.toml")).unwrap();
    let one = format!("same = [[\"console:{}\", \"telegram:{}\"]]", nix::unistd::getuid(), ann.0);
    assert!(people.contains(&one), "{people}");
    let mut hunt = Hunt::new(TOKEN);
    hunt.processes();
    host.stop().unwrap();
    let kept = host.data().join("secrets/telegram");
    assert_eq!(fs::read_to_string(&kept).unwrap(), TOKEN);
    hunt.folder(host.dir(), &[kept]).unwrap();
    hunt.bytes("what was shown", host.log().as_bytes());
    assert_eq!(hunt.found, [""; 0]);
}

/// The code that the host's terminal showed last.
fn code(host: &Host) -> String {
    let log = host.log();
    log.rsplit_once("/start ").unwrap().1.split('`').next().unwrap().to_owned()
}

#[test]
fn a_code_holds_across_a_restart_and_its_owner_may_send_it_twice() {
    let api = bot();
    let Some(mut host) = installation(&api) else { return };
    host.start().unwrap();
    let first = code(&host);
    host.stop().unwrap();
    host.start().unwrap();
    assert_eq!(code(&host), first);
    assert_eq!(host.log().matches("/start ").count(), 2, "{}", host.log());
    let (ann, eve) = (api.person("Ann"), api.person("Eve"));
    let (chat, other) = (api.private(ann), api.private(eve));
    let owners = || api.messages(chat).iter().filter(|shown| shown.text.contains("you are an owner")).count();
    for n in 1..=2 {
        api.say(chat, ann, format!("/start {first}").as_str());
        traces::until(LIMIT, "she is told so", || Ok(owners() == n)).unwrap();
    }
    // A host that was killed before it noted that the code was used finds an owner, and nobody else becomes one.
    host.kill().unwrap();
    host.start().unwrap();
    api.say(other, eve, format!("/start {first}").as_str());
    api.say(chat, ann, format!("/start {first}").as_str());
    traces::until(LIMIT, "she is told so once more", || Ok(owners() == 3)).unwrap();
    assert!(!api.messages(other).iter().any(|shown| shown.by_bot), "{}", api.transcript(other));
    host.stop().unwrap();
}
