//! The stand-in for the Bot API as a program, for talking to a bot by hand: lines typed are what a person writes, what the bot shows is printed.

use anyhow::{Context, bail};
use borg_tests::bot_api::{BotApi, ChatId, Limits, MessageId, Options, UserId};
use std::{io::BufRead, time::Duration};

const USAGE: &str = "usage: bot-api [--listen 127.0.0.1:PORT] [--token NUMBER:SECRET] [--limits]";

fn main() -> anyhow::Result<()> {
    let api = BotApi::with(options(std::env::args().skip(1))?)?;
    let ann = api.person("Ann");
    let chat = api.private(ann);
    let group = api.group("Shop", ann, &[]);
    api.add_bot(group, ann);
    println!("URL={}\nTOKEN={}", api.url(), api.token());
    std::thread::scope(|scope| {
        scope.spawn(|| show(&api, &[chat, group]));
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("press", what)) => press(&api, chat, ann, what),
                Some(("group", text)) => drop(api.say(group, ann, text)),
                _ if line.trim().is_empty() => {}
                _ => drop(api.say(chat, ann, line)),
            }
        }
        // The end of the input ends the program, and with it the thread that shows.
        std::process::exit(0)
    })
}

/// Prints each change of what is shown in the chats.
fn show(api: &BotApi, chats: &[ChatId]) {
    let mut shown = std::collections::BTreeMap::new();
    let mut calls = 0;
    loop {
        let _timed_out = api.wait_calls(Duration::from_secs(1), |seen| seen.len() > calls);
        calls = api.calls().len();
        for message in chats.iter().flat_map(|chat| api.messages(*chat)).filter(|message| message.by_bot) {
            let buttons = message.buttons.iter().flatten().map(|button| format!(" [{}]", button.label));
            let file =
                message.document.as_ref().map(|file| format!(" 📄 {} bytes", file.bytes.len())).unwrap_or_default();
            let line = format!("{}{file}{}", message.text, buttons.collect::<String>());
            let key = (message.chat, message.id);
            if shown.get(&key) != Some(&line) {
                println!("{} {line}", message.id.0);
                shown.insert(key, line);
            }
        }
    }
}

fn press(api: &BotApi, chat: ChatId, who: UserId, what: &str) {
    let parsed = what.split_once(' ').and_then(|(id, label)| Some((MessageId(id.parse().ok()?), label)));
    let pressed = parsed.and_then(|(id, label)| Some((id, api.message(chat, id)?.button(label)?.label.clone())));
    match pressed {
        Some((id, label)) => drop(api.press(chat, who, id, &label)),
        None => println!("no such button; press NUMBER LABEL"),
    }
}

fn options(mut args: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value; {USAGE}"));
        match arg.as_str() {
            "--listen" => {
                options.listen = value()?.parse().context("--listen takes an address such as 127.0.0.1:9200")?
            }
            "--token" => options.token = value()?,
            "--limits" => options.limits = Some(Limits::real()),
            _ => bail!("unknown argument {arg}; {USAGE}"),
        }
    }
    Ok(options)
}
