//! Digest authentication of requests (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! | file | what |
//! |---|---|
//! | [`authenticator`] | credentials of a request, judged |
//! | [`resource`] | whether credentials name the resource of the request |
//! | [`guesses`] | wrong passwords, and the wait after too many |
//! | [`failure`] | why they were not accepted |
//! | [`policy`] | algorithms, quality of protection and nonces, as the parameters say |
//! | [`authorize`], [`challenge`], [`consume`] | the functions |
//! | [`commands`] | `signalbox ctl auth …` |

use std::time::Duration;

use signalbox::module::{Command, Declaration, Function, Host, Kind, Module, ModuleError, Parameter, Routes, Settings};
use signalbox::storage::check_url;

mod auth;
mod authenticator;
mod authorize;
mod challenge;
mod commands;
mod consume;
mod failure;
mod guesses;
mod policy;
mod resource;

pub use auth::Auth;

const REALM: &str = "The realm, by custom the domain. When empty, that of the To address for REGISTER and of the From address for the rest.";
const TABLE: &str = "For scripts carried over from SER: the accounts are always those of `subscriber`.";
const QOP: &str =
    "`\"1\"` or `\"auth\"` offers quality of protection, `\"0\"` does not; the parameter `qop` when left out.";
const AUTHORIZED: &str = "boolean: whether the credentials are right; else why not";

impl Module for Auth {
    const NAME: &'static str = "auth";

    fn declaration() -> Declaration<Self> {
        commands(functions(parameters(Declaration::new(
            "Asks users for digest credentials and checks them (RFC 3261 §22, RFC 7616, RFC 8760).",
        ))))
    }

    fn check(settings: &Settings) -> Result<(), ModuleError> {
        policy::algorithms(settings.string("algorithms"))?;
        check_url(settings.string("db_url"))
            .map_err(|error| ModuleError::Parameter { parameter: "db_url", problem: error.to_string() })
    }

    async fn start(host: &Host, settings: &Settings) -> Result<Self, ModuleError> {
        Self::start(host, settings).await
    }
}

fn parameters(declaration: Declaration<Auth>) -> Declaration<Auth> {
    declaration
        .parameter(Parameter::string("db_url", "sqlite:var/signalbox.db").doc(
            "The database with the table `subscriber`: `sqlite:path`, `postgres://…` or `mysql://…`.",
        ))
        .parameter(Parameter::string("algorithms", "SHA-256, MD5").doc(
            "The algorithms to offer, the most preferred first (RFC 8760 §2.3): of SHA-512-256, SHA-256 and MD5. Others are not accepted.",
        ))
        .parameter(Parameter::choice("qop", "auth", &["auth", "optional", "none"]).doc(
            "`auth` asks for quality of protection and takes nothing less. `optional` offers it and takes answers without, each nonce once. `none` does not offer it.",
        ))
        .parameter(Parameter::boolean("userhash", false).doc(
            "Whether clients may send a hash in place of the user's name, so that nobody on the way reads it (RFC 7616 §3.4.4). Then accounts that other programs have added are hashed at each start.",
        ))
        .parameter(
            Parameter::duration("nonce_expire", Duration::from_secs(300))
                .range(1..=86_400)
                .doc("How long a nonce can be used. Afterwards a client is asked again with `stale=true`, which its user doesn't notice."),
        )
        .parameter(Parameter::string("secret", "").doc(
            "Signs nonces. When empty, a new one is made at each start. Servers that share a secret take each other's nonces.",
        ))
        .parameter(Parameter::integer("cache_size", 200_000).range(0..=100_000_000).doc(
            "Accounts kept in memory, about 400 bytes each, so that a known user costs no query.",
        ))
        .parameter(
            Parameter::duration("cache_expire", Duration::from_secs(300))
                .range(1..=86_400)
                .doc("How long an account is kept: the time that an old password is still taken after another program has changed it."),
        )
        .parameter(Parameter::integer("max_failures", 5).range(0..=1_000_000).doc(
            "Wrong passwords that one address (of IPv6, one network of 64 bits) may send for one account before it has to wait, 1 second at first and twice as long after each further one. It is answered 403 with Retry-After. 0 for no limit.",
        ))
        .parameter(Parameter::integer("max_source_failures", 30).range(0..=1_000_000).doc(
            "The same for all accounts together. Users who have proved their password from there do not wait. Set 0 if all requests come through one proxy.",
        ))
        .parameter(Parameter::integer("max_account_failures", 100).range(0..=1_000_000).doc(
            "Wrong passwords for one account from all addresses. After that each address may send one, unless it has proved the password before. 0 for no limit.",
        ))
        .parameter(
            Parameter::duration("max_wait", Duration::from_secs(300))
                .range(1..=3600)
                .doc("The longest wait after wrong passwords. They are forgotten one to two hours after the last one."),
        )
}

fn functions(declaration: Declaration<Auth>) -> Declaration<Auth> {
    declaration
        .function(
            Function::new("www_authorize")
                .doc("Checks the Authorization of a request for this server, such as a REGISTER. On success `avp.auth_user` and `avp.auth_realm` say who sent it; ACK and CANCEL always succeed, since they cannot be challenged.")
                .argument("realm", Kind::String, REALM)
                .optional("table", Kind::String, TABLE)
                .result(AUTHORIZED)
                .routes(Routes::REQUEST)
                .waiting(authorize::www_authorize),
        )
        .function(
            Function::new("proxy_authorize")
                .doc("Checks the Proxy-Authorization of a request that is to be relayed. As `www_authorize` otherwise.")
                .argument("realm", Kind::String, REALM)
                .optional("table", Kind::String, TABLE)
                .result(AUTHORIZED)
                .routes(Routes::REQUEST)
                .waiting(authorize::proxy_authorize),
        )
        .function(
            Function::new("www_challenge")
                .doc("Answers 401 and asks for credentials, with `stale=true` if the nonce was too old. Credentials for another resource are answered 400, and too many wrong passwords 403 with Retry-After. When `www_authorize` failed because the database is gone, it answers 503 with Retry-After instead.")
                .argument("realm", Kind::String, REALM)
                .optional("qop", Kind::Any, QOP)
                .result("boolean: whether the answer was sent")
                .routes(Routes::REQUEST | Routes::FAILURE)
                .plain(challenge::www_challenge),
        )
        .function(
            Function::new("proxy_challenge")
                .doc("Answers 407 and asks for credentials. As `www_challenge` otherwise.")
                .argument("realm", Kind::String, REALM)
                .optional("qop", Kind::Any, QOP)
                .result("boolean: whether the answer was sent")
                .routes(Routes::REQUEST | Routes::FAILURE)
                .plain(challenge::proxy_challenge),
        )
        .function(
            Function::new("consume_credentials")
                .doc("Takes the credentials that were accepted out of the request, so that the next hop doesn't see them (RFC 3261 §22.3).")
                .result("boolean: whether there were any")
                .routes(Routes::REQUEST | Routes::FAILURE)
                .plain(consume::consume_credentials),
        )
}

fn commands(declaration: Declaration<Auth>) -> Declaration<Auth> {
    declaration
        .command(
            Command::new("add", "Adds an account.")
                .parameter("address", "such as alice@example.com")
                .parameter("password", "its password, stored as hashes only")
                .run(commands::add),
        )
        .command(
            Command::new("passwd", "Gives an account another password.")
                .parameter("address", "such as alice@example.com")
                .parameter("password", "the new password, stored as hashes only")
                .run(commands::passwd),
        )
        .command(
            Command::new("remove", "Removes an account.")
                .parameter("address", "such as alice@example.com")
                .run(commands::remove),
        )
        .command(
            Command::new("list", "Lists accounts.")
                .optional("realm", "only those of this realm; all when left out")
                .run(commands::list),
        )
}

signalbox::export_module!(Auth);

#[cfg(test)]
mod tests {
    use signalbox::module::{doc, export};

    use super::*;

    pub(crate) fn parameters() -> Vec<Parameter> {
        export::entry::<Auth>().tables().parameters
    }

    #[test]
    fn the_readme_has_the_tables_of_the_code() {
        let tables = doc::markdown(&export::entry::<Auth>().tables());
        assert!(include_str!("../README.md").contains(&tables), "put these into README.md:\n{tables}");
    }
}
