//! Who the load is: generated names (`u0`, `u1`, … with password `p0`, …) or a file of
//! `user[:password]` lines.

use std::path::Path;

use crate::options::Common;

pub(crate) struct Users {
    pub(crate) domain: String,
    prefix: String,
    password_prefix: String,
    list: Vec<(String, String)>,
    pub(crate) count: u32,
}

impl Users {
    pub(crate) fn new(common: &Common, count: u32) -> Self {
        let list = common.users_file.as_deref().map(read_list).unwrap_or_default();
        let count = if list.is_empty() { count } else { count.min(list.len() as u32) };
        Self {
            domain: common.domain(),
            prefix: common.user_prefix.clone(),
            password_prefix: common.password_prefix.clone(),
            list,
            count,
        }
    }

    pub(crate) fn name(&self, i: u32) -> String {
        match self.list.get(i as usize) {
            Some((u, _)) => u.clone(),
            None => format!("{}{i}", self.prefix),
        }
    }

    pub(crate) fn password(&self, i: u32) -> String {
        match self.list.get(i as usize) {
            Some((_, p)) => p.clone(),
            None => format!("{}{i}", self.password_prefix),
        }
    }

    pub(crate) fn aor(&self, i: u32) -> String {
        format!("sip:{}@{}", self.name(i), self.domain)
    }
}

fn read_list(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        eprintln!("loadgen: {}: {error}", path.display());
        std::process::exit(2)
    });
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .map(|(user, pass)| (user.into(), pass.into()))
        .collect()
}
