//! The other end of the admin socket, as `signalbox ctl` uses it.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// A connection to a running server.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    serial: u64,
}

/// Why a command got no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no server answers at {path}: {error}")]
    Unreachable { path: PathBuf, error: io::Error },
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server's answer makes no sense: {0}")]
    BadAnswer(String),
    /// The server's own words; codes are those of JSON-RPC 2.0.
    #[error("{message}")]
    Refused { code: i64, message: String },
}

impl Client {
    pub async fn connect(path: &Path) -> Result<Self, ClientError> {
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream), serial: 0 }),
            Err(error) => Err(ClientError::Unreachable { path: path.to_owned(), error }),
        }
    }

    /// Runs a command. `parameters` is an object (by name) or an array (by position).
    pub async fn call(&mut self, method: &str, parameters: Json) -> Result<Json, ClientError> {
        self.serial += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.serial, "method": method, "params": parameters });
        self.stream.write_all(format!("{request}\n").as_bytes()).await?;
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(ClientError::Closed);
        }
        let Ok(Json::Object(mut answer)) = serde_json::from_str(&line) else {
            return Err(ClientError::BadAnswer(line));
        };
        if let Some(error) = answer.get("error") {
            let code = error["code"].as_i64().unwrap_or_default();
            let message = error["message"].as_str().unwrap_or_default().to_owned();
            return Err(ClientError::Refused { code, message });
        }
        answer.remove("result").ok_or(ClientError::BadAnswer(line))
    }
}
