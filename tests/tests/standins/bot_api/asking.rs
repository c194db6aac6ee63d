//! A stand-in with Ann, her private chat and her group; and ways to ask it.

use borg_tests::bot_api::{BotApi, ChatId, Options, UserId};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::time::Duration;
use teloxide_core::Bot;
use tokio::task::JoinHandle;

pub const LIMIT: Duration = Duration::from_secs(10);

pub struct Asking {
    pub api: BotApi,
    pub bot: Bot,
    pub ann: UserId,
    /// Ann's private chat with the bot.
    pub chat: ChatId,
    /// Ann's group, with the bot in it.
    pub group: ChatId,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Asking {
    pub fn new() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        let api = BotApi::with(options).unwrap();
        let bot = Bot::new(api.token()).set_api_url(api.url().parse().unwrap());
        let ann = api.person("Ann");
        let chat = api.private(ann);
        let group = api.group("Shop", ann, &[]);
        api.add_bot(group, ann);
        Self { api, bot, ann, chat, group, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// One call by plain HTTP; an error when there is no whole answer.
    pub async fn ask(&self, method: &str, params: Value) -> anyhow::Result<(u16, Value)> {
        self.begin(method, params).await?
    }

    /// A call that goes on while the test does something else.
    pub fn begin(&self, method: &str, params: Value) -> JoinHandle<anyhow::Result<(u16, Value)>> {
        let raw = self.raw(method, params);
        tokio::spawn(async move {
            let (status, body) = raw.await?;
            Ok((status, serde_json::from_slice(&body)?))
        })
    }

    /// A call whose answer need not be JSON.
    pub fn raw(
        &self,
        method: &str,
        params: Value,
    ) -> impl Future<Output = anyhow::Result<(u16, Bytes)>> + Send + use<> {
        let url = format!("{}/bot{}/{method}", self.api.url(), self.api.token());
        let client = self.client.clone();
        async move {
            let request = Request::post(url).header("content-type", "application/json");
            let response = client.request(request.body(Full::from(params.to_string()))?).await?;
            let status = response.status().as_u16();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Bytes) {
        let response = self.client.get(format!("{}{path}", self.api.url()).parse().unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    /// The result of a call that must succeed.
    pub async fn done(&self, method: &str, params: Value) -> Value {
        let (status, mut body) = self.ask(method, params).await.unwrap();
        assert_eq!(status, 200, "{method}: {body}");
        body["result"].take()
    }

    /// Code and description of a call that must be refused.
    pub async fn refused(&self, method: &str, params: Value) -> (u64, String) {
        let (status, body) = self.ask(method, params).await.unwrap();
        assert_eq!(body["ok"], false, "{method}: {body}");
        assert_eq!(body["error_code"], status, "{method}: {body}");
        (body["error_code"].as_u64().unwrap(), body["description"].as_str().unwrap().to_owned())
    }

    /// What is waiting, without confirming it.
    pub async fn pending(&self) -> Vec<Value> {
        self.done("getUpdates", json!({})).await.as_array().unwrap().clone()
    }

    /// The offset behind everything that is waiting.
    pub async fn end(&self) -> i64 {
        self.pending().await.last().map_or(0, |last| last["update_id"].as_i64().unwrap() + 1)
    }
}
