//! Addresses: of listeners, of HTTP hosts, of other servers.

use super::{Kind, quote};
use std::net::Ipv6Addr;
use switchboard_monitor::{Secret, Settings as Monitor};
use switchboard_news::guard::Allow;
use switchboard_news::render::{Endpoint as DevTools, Remote};
use switchboard_web::Hosts;

pub(in crate::config) struct Addresses;
pub(in crate::config) struct Names;
pub(in crate::config) struct Endpoint;
pub(in crate::config) struct BrokerUrl;
pub(in crate::config) struct Webhooks;
pub(in crate::config) struct Renderer;
pub(in crate::config) struct Pairs;
pub(in crate::config) struct Cdp;

impl Kind for Addresses {
    type Value = Vec<String>;
    const ALLOWED: &'static str = "HOST:PORT, or a list of them, such as [\"127.0.0.1:25000\", \"[::1]:25000\"]";
    fn parse(text: &str) -> Option<Vec<String>> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<Vec<String>, String> {
        let parts = text.split(',').map(str::trim).filter(|address| !address.is_empty());
        let addresses: Vec<String> = parts.map(address).collect::<Result<_, _>>()?;
        match twice(addresses.iter()) {
            Some(address) => Err(format!("{address} is in it twice")),
            None => Ok(addresses),
        }
    }
    fn show(addresses: &Vec<String>) -> String {
        let quoted: Vec<String> = addresses.iter().map(|address| quote(address)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Kind for Names {
    type Value = Hosts;
    const ALLOWED: &'static str = "a name, or a list of them, such as [\"monitor.example\"], without wildcards";
    fn parse(text: &str) -> Option<Hosts> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Option<Vec<String>> =
            names.map(|name| (!name.contains(':') && is_host(name)).then(|| name.to_owned())).collect();
        names.map(|names| Hosts::new(&names))
    }
    fn show(hosts: &Hosts) -> String {
        Addresses::show(&hosts.names())
    }
}

/// An address of another program, checked as its user checks it.
fn optional(text: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    check(text).map(|()| Some(text.to_owned()))
}

impl Kind for Endpoint {
    type Value = Option<String>;
    const ALLOWED: &'static str = "tcp://HOST:PORT or ipc://PATH; an empty text for none";
    fn parse(text: &str) -> Option<Option<String>> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<Option<String>, String> {
        optional(text, Monitor::check_collect).map_err(|reason| format!("it must be {}: {reason}", Self::ALLOWED))
    }
    fn show(text: &Option<String>) -> String {
        quote(text.as_deref().unwrap_or(""))
    }
}

impl Kind for BrokerUrl {
    type Value = Option<String>;
    const ALLOWED: &'static str = "switchboard://HOST:PORT; an empty text for none";
    fn parse(text: &str) -> Option<Option<String>> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<Option<String>, String> {
        optional(text, Monitor::check_broker).map_err(|reason| format!("it must be {}: {reason}", Self::ALLOWED))
    }
    fn show(text: &Option<String>) -> String {
        quote(text.as_deref().unwrap_or(""))
    }
}

impl Kind for Webhooks {
    type Value = Vec<Secret>;
    const ALLOWED: &'static str = "an https:// or http:// address, or a list of them";
    const IS_SECRET: bool = true;
    fn parse(text: &str) -> Option<Vec<Secret>> {
        // A comma may be a part of an address; before the next one it is none.
        let mut addresses: Vec<String> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match addresses.last_mut() {
                Some(last) if !part.contains("://") => *last += &format!(",{part}"),
                _ => addresses.push(part.trim().to_owned()),
            }
        }
        Some(addresses.into_iter().map(Secret::from).collect())
    }
    fn read(text: &str) -> Result<Vec<Secret>, String> {
        let addresses = Self::parse(text).unwrap_or_default();
        let checked = addresses.iter().try_for_each(Monitor::check_webhook);
        checked.map(|()| addresses).map_err(|reason| format!("it must be {}: {reason}", Self::ALLOWED))
    }
    fn show(addresses: &Vec<Secret>) -> String {
        let quoted: Vec<String> = addresses.iter().map(|address| quote(address.reveal())).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Kind for Renderer {
    type Value = Option<String>;
    const ALLOWED: &'static str = "an http:// or https:// address; an empty text for none";
    fn parse(text: &str) -> Option<Option<String>> {
        optional(text, |text| Remote::check(text).map_err(|error| error.to_string())).ok()
    }
    fn show(text: &Option<String>) -> String {
        quote(text.as_deref().unwrap_or(""))
    }
}

impl Kind for Cdp {
    type Value = Option<DevTools>;
    const ALLOWED: &'static str =
        "an http:// address of loopback, or a ws:// one with its path; an empty text for none";
    fn parse(text: &str) -> Option<Option<DevTools>> {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }
    fn show(endpoint: &Option<DevTools>) -> String {
        quote(&endpoint.as_ref().map(ToString::to_string).unwrap_or_default())
    }
}

impl Kind for Pairs {
    type Value = Allow;
    const ALLOWED: &'static str = "HOST:PORT, or a list of them, such as [\"wiki.example:80\", \"10.0.0.5:8080\"]";
    fn parse(text: &str) -> Option<Allow> {
        Allow::parse(text.split(',').map(str::trim).filter(|pair| !pair.is_empty())).ok()
    }
    fn show(allow: &Allow) -> String {
        Addresses::show(&allow.pairs())
    }
}

/// The form only: whether the host has an address is found out when it is listened on.
fn address(text: &str) -> Result<String, String> {
    let form = || format!("it must be {}", Addresses::ALLOWED);
    let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
    // `::1:25000` could be read in two ways.
    let clear = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if !clear || host.is_empty() || !is_number {
        return Err(form());
    }
    if port.parse::<u16>().is_err() {
        return Err(format!("the port of {text} must be from 0 to {}", u16::MAX));
    }
    if host == "*" {
        return Err(format!("{text} has no host: 0.0.0.0:{port} is every address of this machine, and [::]:{port}"));
    }
    if !is_host(host) {
        return Err(format!("{host} is no name of a host and no IP address"));
    }
    Ok(text.to_owned())
}

/// Returns true for an IP address (one of version 6 in brackets), and for a name that a resolver could be asked for.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        // A link's own address names the link.
        Some(address) => address.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')),
    }
}

/// The first address that is there twice. Port 0 is another one each time.
pub(in crate::config) fn twice<'a>(addresses: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = Vec::new();
    addresses.filter(|address| !address.ends_with(":0")).find(|address| {
        let is_known = seen.iter().any(|other: &&String| other.eq_ignore_ascii_case(address));
        seen.push(*address);
        is_known
    })
}
