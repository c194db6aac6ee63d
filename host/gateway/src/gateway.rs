//! Opens doors: one gateway per host process, one door per run.

use crate::{
    Ledger, Secrets,
    access::{Access, Config, Egress, Limits},
    behind::Behind,
    door::Door,
    error::Error,
    provider::Provider,
    run::Run,
    socket::Socket,
    upstream::Upstream,
    way::{Model, Way},
};
use std::{collections::BTreeMap, sync::Arc};

/// The gateway of a host process. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    limits: Limits,
    /// By the provider's name.
    upstreams: BTreeMap<&'static str, Arc<Upstream>>,
    secrets: Arc<dyn Secrets>,
    ledger: Arc<dyn Ledger>,
    behind: Arc<Behind>,
}

impl Gateway {
    /// Checks the settings and, for `https`, reads the system's certificate authorities. Contacts nobody.
    pub fn new(config: Config, secrets: Arc<dyn Secrets>, ledger: Arc<dyn Ledger>) -> Result<Gateway, Error> {
        let mut upstreams = BTreeMap::new();
        for endpoint in &config.endpoints {
            check_placeholder(endpoint.provider)?;
            let upstream = Upstream::new(endpoint, config.limits.connect_time)?;
            upstreams.insert(endpoint.provider.name(), Arc::new(upstream));
        }
        Ok(Gateway { limits: config.limits, upstreams, secrets, ledger, behind: Arc::default() })
    }

    /// Binds the run's socket, in place of a stale one, and listens until the door is closed. Nobody is served before
    /// [`Door::admit`]. Must be called within a tokio runtime.
    pub async fn open(&self, mut access: Access) -> Result<Door, Error> {
        let ways = self.ways(std::mem::take(&mut access.egress))?;
        let (socket, listener) = Socket::bind(&access.socket)?;
        let run = Run::new(
            access,
            ways,
            self.limits.clone(),
            Arc::clone(&self.secrets),
            Arc::clone(&self.ledger),
            Arc::clone(&self.behind),
        );
        Ok(Door::listen(Arc::new(run), socket, listener))
    }

    /// One way per provider, in the order in which they come.
    fn ways(&self, egress: Vec<Egress>) -> Result<Vec<Way>, Error> {
        let mut models: Vec<Model> = Vec::new();
        for egress in egress {
            let provider = egress.provider;
            if let Some(model) = models.iter_mut().find(|model| model.provider.name() == provider.name()) {
                model.egress.push(egress);
                continue;
            }
            let upstream = self.upstreams.get(provider.name()).cloned();
            let missing = || Error::NoEndpoint { egress: egress.name.clone(), provider: provider.name() };
            let upstream = upstream.ok_or_else(missing)?;
            models.push(Model { provider, upstream, egress: vec![egress] });
        }
        Ok(models.into_iter().map(|model| Way::Model(Arc::new(model))).collect())
    }
}

/// The placeholder of a provider goes into environments and headers.
fn check_placeholder(provider: &'static dyn Provider) -> Result<(), Error> {
    let key = provider.placeholder().as_bytes();
    let is_fit = (1..=256).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if is_fit { Ok(()) } else { Err(Error::Placeholder(provider.name())) }
}
