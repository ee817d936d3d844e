//! [`Notices`]: tells a person what the receiver did not take, why, and what to do.

use std::collections::BTreeMap;

use anon_model::Modality;
use anon_model::modality::transfer_syntaxes;
use anon_net::error::RejectReason;
use anon_net::scp::ConnectionRefusal;

use super::events::{Association, Event, Object, RefusedClass, Rejected};
use crate::command::Context;
use crate::platform::shell_quoted;

/// How many different messages are counted, to limit repeats.
const MAX_MESSAGES: usize = 1000;

/// SOP classes of one association that are named. Some senders propose every class there is.
const CLASSES_NAMED: usize = 3;

/// Prints warnings. A message is repeated at its tenth, hundredth, thousandth time, because a sender may
/// try again every second.
#[derive(Debug)]
pub(super) struct Notices<'c> {
    context: &'c Context<'c>,
    /// The AE title of the receiver.
    aet: &'c str,
    times: BTreeMap<String, u64>,
}

impl<'c> Notices<'c> {
    pub(super) fn new(context: &'c Context<'c>, aet: &'c str) -> Self {
        Self {
            context,
            aet,
            times: BTreeMap::new(),
        }
    }

    /// Prints what there is to say of an event.
    pub(super) fn print(&mut self, event: &Event) {
        match event {
            Event::Rejected(rejected) => {
                if let Some(message) = self.rejected(rejected) {
                    self.warn(message);
                }
            }
            Event::Object(object) => self.warn(not_stored(object)),
            Event::Association(association) => {
                for message in self.contexts(association) {
                    self.warn(message);
                }
            }
        }
    }

    fn warn(&mut self, message: String) {
        if self.times.len() == MAX_MESSAGES && !self.times.contains_key(&message) {
            self.times.clear();
        }
        let times = self.times.get(&message).copied().unwrap_or(0) + 1;
        match times {
            1 => self.context.report.warn(&message),
            _ if is_power_of_ten(times) => {
                self.context
                    .report
                    .warn(&format!("{message} ({times} times so far)"));
            }
            _ => {}
        }
        self.times.insert(message, times);
    }

    /// Returns why a connection was rejected. `None` if the receiver is being stopped.
    fn rejected(&self, rejected: &Rejected) -> Option<String> {
        let command = |text: &str| self.context.command_line(text);
        let address = rejected.ip;
        let who = match &rejected.calling {
            Some(calling) => format!("{calling} at {address}"),
            None => address.to_string(),
        };
        Some(match (rejected.refusal, &rejected.calling) {
            (ConnectionRefusal::Stopped, _) => return None,
            (ConnectionRefusal::Rejected(RejectReason::CallingTitle), Some(calling)) => {
                let add = format!("config add scp.allow_calling {}", shell_quoted(calling));
                format!(
                    "{who} was rejected: its AE title is not in scp.allow_calling; to accept it, run {}",
                    command(&add)
                )
            }
            (ConnectionRefusal::Rejected(RejectReason::CalledTitle), _) => format!(
                "{who} was rejected: it calls {}, and this receiver is {}; correct the AE title there, or run {}",
                rejected.called.as_deref().unwrap_or("an invalid AE title"),
                self.aet,
                command("config set scp.check_called false")
            ),
            (ConnectionRefusal::Rejected(RejectReason::LocalLimit), _) => format!(
                "{who} was rejected: all places are in use, see scp.max_associations and \
                 scp.max_associations_per_peer"
            ),
            (ConnectionRefusal::Address, _) => format!(
                "{who} was rejected: its address is not in scp.allow_peers; to accept it, run {}",
                command(&format!("config add scp.allow_peers {address}"))
            ),
            (ConnectionRefusal::Lost | ConnectionRefusal::Silent, None) => {
                format!("{who} connected and requested no association")
            }
            _ => format!("{who} was rejected: {}", rejected.text),
        })
    }

    /// Returns which SOP classes and transfer syntaxes of an association were not accepted.
    fn contexts(&self, association: &Association) -> Vec<String> {
        let calling = &association.calling;
        let all = &association.contexts_refused;
        let mut messages: Vec<_> = all
            .iter()
            .take(CLASSES_NAMED)
            .map(|class| self.refused_class(calling, class))
            .collect();
        if let Some(more @ 1..) = all.len().checked_sub(CLASSES_NAMED) {
            messages.push(format!(
                "{calling} offers {more} more SOP classes that are not accepted: see contexts_refused with \
                 --format json"
            ));
        }
        messages
    }

    fn refused_class(&self, calling: &str, class: &RefusedClass) -> String {
        let uid = &class.sop_class;
        if !class.is_listed && class.transfer_syntaxes.is_empty() {
            return format!(
                "{calling} offers a SOP class that PS3.6 does not list, which is not accepted; to accept it, \
                 look its UID up in the conformance statement of {calling}, and run {}",
                self.context.command_line("config add storage_classes UID")
            );
        }
        let what = class
            .name
            .map_or(uid.clone(), |name| format!("{name} ({uid})"));
        let (what, add) = if class.transfer_syntaxes.is_empty() {
            let add = match (Modality::of_class(uid), class.name) {
                (Some(modality), _) => Some(format!("config add modalities {}", modality.code)),
                (None, Some(_)) => Some(format!("config add storage_classes {uid}")),
                (None, None) => None,
            };
            (what, add)
        } else {
            let syntaxes = &class.transfer_syntaxes;
            let known = |uid: &&String| transfer_syntaxes().any(|(known, _)| known == uid.as_str());
            let known: Vec<_> = syntaxes.iter().filter(known).map(String::as_str).collect();
            let add = format!("config add transfer_syntaxes {}", known.join(" "));
            let what = format!("{what} in {}", syntaxes.join(", "));
            (what, (!known.is_empty()).then_some(add))
        };
        let message = format!("{calling} offers {what}, which is not accepted");
        match add {
            Some(add) => format!(
                "{message}; to accept it, run {}",
                self.context.command_line(&add)
            ),
            None => message,
        }
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number > 0 && 10_u64.pow(number.ilog10()) == number
}

fn not_stored(object: &Object) -> String {
    let Object {
        calling,
        outcome,
        reason,
        ..
    } = object;
    match &object.status {
        Some(status) if *outcome != "quarantined" => {
            format!("{calling}: an object was not stored ({outcome}, status {status}): {reason}")
        }
        None if *outcome == "failed" => format!("{calling}: an object was not stored: {reason}"),
        _ => format!("{calling}: an object was {outcome}: {reason}"),
    }
}
