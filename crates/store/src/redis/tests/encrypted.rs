//! TLS with a private authority, certificates of clients, and a user with no more rights than the README names.

use async_trait::async_trait;
use countersign_core::identity::AppId;
use countersign_engine::port::ledger::LedgerError;
use countersign_testkit::{
    certificates::Authority,
    ledger_suite,
    redis_server::{RedisServer, eventually, free_address},
};
use secrecy::SecretString;

use super::{
    bench::options,
    shared::{Ground, OnGround, gateways},
};
use crate::redis::{
    ClientCertificate, OpenError, RedisAddress, RedisOptions, RedisStore, RedisTls, Topology,
};

/// The rights that the README names.
const RIGHTS: &str = "~countersign:* +@hash +@sortedset +@list +@set +@string +exists +eval +evalsha \
                      +time +wait +info +role +config|get +cluster|slots +select";

#[test]
fn the_rights_are_those_of_the_readme() {
    let readme = include_str!("../../../../../README.md");
    assert!(readme.contains(RIGHTS), "the README does not name `{RIGHTS}`");
}

/// A password that no URL can hold as it stands.
const PASSWORD: &str = "p/a#s?s@w:o%rd";

struct Encrypted {
    authority: Authority,
    server: RedisServer,
}

impl Encrypted {
    async fn start(clients: &str) -> Self {
        let authority = Authority::default();
        let server = RedisServer::encrypted(&authority, clients).await;
        let encrypted = Self { authority, server };
        encrypted.add_user().await;
        encrypted
    }

    async fn add_user(&self) {
        let password = format!(">{PASSWORD}");
        let mut command = vec!["ACL", "SETUSER", "gateway", "on", &password];
        command.extend(RIGHTS.split_whitespace());
        assert_eq!(self.server.tell(&command).await, "+OK\r\n");
    }

    fn url(&self, host: &str) -> SecretString {
        let port = self.server.encrypted_address().port();
        SecretString::from(format!("rediss://gateway@{host}:{port}"))
    }

    /// With everything that the server asks for.
    fn trusted(&self, host: &str) -> RedisAddress {
        let mut address = RedisAddress::one(self.url(host));
        address.password = Some(SecretString::from(PASSWORD));
        address.tls.ca = Some(self.authority.certificate());
        address
    }

    fn known(&self) -> RedisAddress {
        let mut address = self.trusted("localhost");
        address.tls.client = Some(client_of(&self.authority));
        address
    }
}

fn client_of(authority: &Authority) -> ClientCertificate {
    let identity = authority.sign(&["gateway"]);
    ClientCertificate { certificate: identity.certificate, key: SecretString::from(identity.key) }
}

fn options_at(address: RedisAddress) -> RedisOptions {
    let mut options = options("redis://unused");
    options.address = address;
    options
}

async fn refused(address: RedisAddress) -> String {
    let refused = RedisStore::connect(options_at(address)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Ledger(LedgerError::Unavailable(_))), "{refused:?}");
    refused.to_string()
}

#[async_trait]
impl Ground for Encrypted {
    fn address(&self) -> RedisAddress {
        self.known()
    }

    async fn restart(&mut self, app: &AppId) {
        self.server.down().await;
        self.server.up().await;
        self.add_user().await;
        self.server.tell(&["DEL", &gateways(app)]).await;
    }
}

async fn ground() -> OnGround<Encrypted> {
    OnGround::new(Encrypted::start("yes").await)
}

ledger_suite!(shared ground);

#[tokio::test]
async fn a_server_is_believed_only_with_a_certificate_of_the_authority_in_its_own_name() {
    let encrypted = Encrypted::start("no").await;
    RedisStore::connect(options_at(encrypted.trusted("localhost"))).await.unwrap();

    let another_name = refused(encrypted.trusted("127.0.0.1")).await;
    assert!(another_name.contains("not valid for name"), "{another_name}");
    let mut another_authority = encrypted.trusted("localhost");
    another_authority.tls.ca = Some(Authority::default().certificate());
    let another_authority = refused(another_authority).await;
    assert!(another_authority.contains("invalid peer certificate"), "{another_authority}");
    let mut public = encrypted.trusted("localhost");
    public.tls = RedisTls::default();
    let public = refused(public).await;
    assert!(public.contains("invalid peer certificate"), "{public}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_takes_only_one_of_its_authority() {
    let encrypted = Encrypted::start("yes").await;
    RedisStore::connect(options_at(encrypted.known())).await.unwrap();
    refused(encrypted.trusted("localhost")).await;
    let mut stranger = encrypted.trusted("localhost");
    stranger.tls.client = Some(client_of(&Authority::default()));
    refused(stranger).await;
}

#[tokio::test]
async fn a_user_with_a_wrong_password_is_refused_without_its_being_shown() {
    let encrypted = Encrypted::start("no").await;
    let mut wrong = encrypted.trusted("localhost");
    wrong.password = Some(SecretString::from("wrong-secret"));
    let shown = format!("{:?}", options_at(wrong.clone()));
    assert!(!shown.contains("wrong-secret"), "{shown}");
    let why = refused(wrong).await;
    assert!(why.contains("WRONGPASS") && !why.contains("wrong-secret"), "{why}");
}

#[tokio::test]
async fn what_sentinels_name_is_reached_over_tls_too() {
    let authority = Authority::default();
    let master = RedisServer::encrypted(&authority, "no").await;
    let sentinel = RedisServer::encrypted_sentinel(&authority, &master, "main").await;
    let url = |server: &RedisServer| {
        SecretString::from(format!("rediss://localhost:{}", server.encrypted_address().port()))
    };
    let mut address = RedisAddress::one(url(&sentinel));
    address.topology = Topology::Sentinel { master: "main".into(), login: None };
    let stranger = refused(address.clone()).await;
    assert!(stranger.contains("invalid peer certificate"), "{stranger}");
    address.tls.ca = Some(authority.certificate());
    let store = RedisStore::connect(options_at(address)).await.unwrap();
    let found = store.place().unwrap();
    assert_eq!(found, format!("localhost:{}", master.encrypted_address().port()));
}

#[tokio::test]
async fn what_cluster_nodes_name_is_reached_over_tls_too() {
    let authority = Authority::default();
    let bus = free_address().port().to_string();
    let clustered = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--tls-cluster", "yes"];
    let arguments = [&clustered[..], &["--tls-auth-clients", "no"]].concat();
    let node = RedisServer::encrypted_with(&authority, &arguments).await;
    assert_eq!(node.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await, "+OK\r\n");
    eventually("the cluster to be well", async || {
        node.tell(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok")
    })
    .await;
    let port = node.encrypted_address().port();
    let mut address = RedisAddress::one(SecretString::from(format!("rediss://localhost:{port}")));
    address.topology = Topology::Cluster;
    address.tls.ca = Some(authority.certificate());
    let store = RedisStore::connect(options_at(address)).await.unwrap();
    assert_eq!(store.place().unwrap(), format!("localhost:{port}"));
}
