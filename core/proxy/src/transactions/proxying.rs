//! Relayed requests: the response context between one server transaction and the client transactions of its branches
//! (RFC 3261 §16.6 to §16.10). What to do is decided by `signalbox_sip::fork`; here it is done.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use signalbox_sip::fork::{BranchId, Fork, MAX_BRANCHES, Outcome, Step, Steps};
use signalbox_sip::header::HeaderName;
use signalbox_sip::message::Message;
use signalbox_sip::method::Method;
use signalbox_sip::status;
use signalbox_sip::transaction::Timer;
use smallvec::SmallVec;

use super::branch::Passage;
use super::table::{Due, Owner, ServerMachine};
use super::{ClientId, ServerId};
use crate::context::{Context, Routing, Target};
use crate::error::Error;
use crate::forward;
use crate::module::Routes;
use crate::transport::{Flow, SendError};
use crate::worker::transmit::{BranchWay, Origin};
use crate::worker::{Route, Worker};

/// The response context of one relayed request.
pub(crate) struct Proxying {
    routing: Rc<Routing>,
    fork: Fork,
    branches: SmallVec<[Branch; 1]>,
    /// The best failure so far (§16.7 step 6).
    best: Option<Kept>,
    /// The data for the branches: the digest of the request's route, and how many requests may still be made of it.
    passage: Passage,
}

/// A response, and the flow that it came by unless it was made here.
type Kept = (Message, Option<Flow>);

struct Branch {
    target: Target,
    client: Option<ClientId>,
    /// The number of requests that may be made of this one if it comes back.
    spread: u8,
    /// When timer C of an INVITE branch is over, as put off by provisional responses (§16.7 step 2).
    timer_c: Option<Instant>,
}

impl Proxying {
    /// A failure route goes on with `targets`, of which those remain that have not been tried (§16.5: "the proxy MUST NOT add" what is in the
    /// target set already). With the contacts of the kept response among them, that keeps only those that are `left`.
    fn go_on(&mut self, targets: &mut SmallVec<[Target; 1]>, left: Option<Vec<String>>) -> Result<(), Error> {
        if self.fork.is_cancelled() {
            return Err(Error::Cancelled);
        }
        targets.retain(|target| !self.branches.iter().any(|branch| branch.target.is_same(target)));
        if targets.is_empty() {
            return Err(Error::NoTarget);
        }
        if self.passage.spread == 0 {
            return Err(Error::BreadthExceeded);
        }
        if self.branches.len() + targets.len() > MAX_BRANCHES {
            return Err(Error::TooManyTargets { limit: MAX_BRANCHES });
        }
        if !self.fork.reopen() {
            return Err(Error::AlreadyAnswered);
        }
        // §16.7 step 4: "If a proxy chooses to recurse on any contacts in a 3xx response by adding them to the target set, it
        // MUST remove them from the response before adding the response to the response context."
        match (left, &mut self.best) {
            (None, _) => {}
            (Some(left), Some((best, _))) if !left.is_empty() => {
                best.remove(HeaderName::Contact);
                left.iter().for_each(|contact| best.push(HeaderName::Contact, contact));
            }
            (Some(_), best) => {
                *best = None;
                self.fork.forget_best();
            }
        }
        Ok(())
    }

    /// Divides the number of requests that may still be made among the targets, and returns the share of each. One
    /// share is kept for a failure route. If there is not enough for all, the targets of lowest q are left out; the
    /// second result is their number.
    fn share_spread(&mut self, targets: &mut SmallVec<[Target; 1]>) -> (u8, usize) {
        let all = targets.len();
        if all > usize::from(self.passage.spread) {
            targets.sort_by_key(|target| std::cmp::Reverse(target.q));
            targets.truncate(self.passage.spread.into());
        }
        let cut = all - targets.len();
        // Invariant: there are at most `spread` targets, which is a u8.
        let count = u8::try_from(targets.len()).unwrap_or(u8::MAX);
        let rest = self.passage.spread.saturating_sub(count);
        let share = rest / count.saturating_add(1);
        self.passage.spread = rest - share * count;
        (share, cut)
    }
}

impl Worker {
    /// Sends the request of `routing` to its targets. In a failure route the targets are further ones.
    pub(crate) fn relay(&self, routing: &Rc<Routing>) -> Result<(), Error> {
        let breadth = forward::breadth(&routing.request.borrow())?;
        let passage = self.passage(routing)?;
        if passage.spread == 0 {
            return Err(Error::BreadthExceeded);
        }
        let id = self.new_server(routing)?;
        let mut targets = routing.state.borrow_mut().targets.take();
        if targets.is_empty() {
            targets.push(routing.own_target());
        }
        let steps = {
            let mut table = self.table();
            let server = table.server(id).ok_or(Error::AlreadyAnswered)?;
            if server.routing.is_none() {
                return Err(Error::AlreadyAnswered);
            }
            let invite = matches!(server.machine, ServerMachine::Invite(_));
            let proxying = server.proxying.get_or_insert_with(|| {
                let mut fork = Fork::new(invite);
                fork.limit_breadth(breadth);
                Box::new(Proxying { routing: routing.clone(), fork, branches: SmallVec::new(), best: None, passage })
            });
            if !proxying.branches.is_empty() {
                let redirected = routing.state.borrow_mut().redirected.take();
                proxying.go_on(&mut targets, redirected)?;
            }
            let (spread, cut) = proxying.share_spread(&mut targets);
            if cut > 0 {
                self.counters().targets_cut.add(cut as u64);
                let call_id = routing.request.borrow().call_id().to_owned();
                tracing::info!(call_id, cut, "a request has too many copies already: targets were left out");
            }
            for target in targets {
                // There is room: `go_on` has seen to that, and the first target set is smaller than what a fork can hold.
                if proxying.fork.add(target.q).is_some() {
                    proxying.branches.push(Branch { target, client: None, spread, timer_c: None });
                }
            }
            proxying.fork.launch()
        };
        self.run_steps(id, steps, None);
        Ok(())
    }

    /// Whether the request was relayed and its response context is what answers it.
    pub(crate) fn is_relayed(&self, routing: &Routing) -> bool {
        let mut table = self.table();
        let server = routing.server.get().and_then(|id| table.server(id));
        server.is_some_and(|server| server.proxying.is_some())
    }

    /// Whether the request has a transaction that nothing has answered and nothing is going to.
    pub(crate) fn is_undecided(&self, routing: &Routing) -> bool {
        let mut table = self.table();
        let server = routing.server.get().and_then(|id| table.server(id));
        server.is_some_and(|server| server.routing.is_some() && server.proxying.is_none())
    }

    /// The request was cancelled by its sender (§16.10).
    pub(crate) fn cancel_branches(&self, id: ServerId) {
        let steps = self.with_proxying(id, |proxying| proxying.fork.cancel());
        self.run_steps(id, steps, None);
    }

    /// A response came on a branch; our Via is off it already.
    pub(crate) fn branch_responded(&self, id: ServerId, branch: BranchId, response: Message, source: Flow) {
        let reply_route = {
            let mut table = self.table();
            let Some(proxying) = table.server(id).and_then(|server| server.proxying.as_ref()) else { return };
            let reply_route = proxying.routing.state.borrow().on_reply.clone();
            reply_route.map(|name| (name, proxying.routing.clone()))
        };
        let Some((name, routing)) = reply_route else {
            return self.weigh_response(id, branch, response, Some(source));
        };
        let response = Rc::new(RefCell::new(response));
        let context =
            Context::in_route(&routing, Routes::REPLY, Some(response.clone())).with_response_source(Some(source));
        self.run_route(Route::Reply(name), context, move |worker, _| {
            let response = Rc::try_unwrap(response).map_or_else(|shared| shared.borrow().clone(), RefCell::into_inner);
            worker.weigh_response(id, branch, response, Some(source));
        });
    }

    fn weigh_response(&self, id: ServerId, branch: BranchId, response: Message, source: Option<Flow>) {
        let status = response.status();
        let steps = self.with_proxying(id, |proxying| {
            if (101..200).contains(&status)
                && let Some(branch) = proxying.branches.get_mut(usize::from(branch.0))
                && let Some(timer_c) = &mut branch.timer_c
            {
                let within = proxying.routing.state.borrow().final_within;
                *timer_c = self.now() + within.unwrap_or_else(|| self.timers().c);
                // The timer set at the beginning may fire later than the script wants.
                if let (Some(within), Some(client)) = (within, branch.client) {
                    self.set_timer(within, Due::Client(client, Timer::C));
                }
            }
            proxying.fork.on_response(branch, status)
        });
        self.run_steps(id, steps, Some((response, source)));
    }

    /// No final response came on a branch (§16.8).
    pub(crate) fn branch_timed_out(&self, id: ServerId, branch: BranchId) {
        let steps = self.with_proxying(id, |proxying| proxying.fork.on_timeout(branch));
        self.run_steps(id, steps, None);
    }

    /// The request could not be sent on a branch (§16.9).
    pub(crate) fn branch_failed(&self, id: ServerId, branch: BranchId, error: SendError) {
        let routing = {
            let mut table = self.table();
            let Some(proxying) = table.server(id).and_then(|server| server.proxying.as_ref()) else { return };
            proxying.routing.clone()
        };
        let request = routing.request.borrow();
        self.branch_refused(id, branch, &request, &error.into());
    }

    /// Timer C of an INVITE branch fired, unless it was put off (§16.8).
    pub(crate) fn timer_c(&self, client: ClientId) {
        let owner = self.table().client(client).map(|client| match client.owner {
            Owner::Branch(server, branch) => Some((server, branch)),
            Owner::Local(_) | Owner::Nobody => None,
        });
        let Some(Some((id, branch))) = owner else { return };
        let now = self.now();
        let (mut put_off, mut is_over) = (None, false);
        let steps = self.with_proxying(id, |proxying| {
            let timer = proxying.branches.get_mut(usize::from(branch.0)).map(|branch| &mut branch.timer_c);
            // The branch has timed out before: with times from the script there is more than one timer.
            let Some(timer @ Some(_)) = timer else { return Steps::new() };
            put_off = timer.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero());
            if put_off.is_some() {
                return Steps::new();
            }
            (*timer, is_over) = (None, true);
            proxying.fork.on_timer_c(branch)
        });
        match put_off {
            Some(left) => self.set_timer(left, Due::Client(client, Timer::C)),
            None if !is_over => {}
            None => {
                if !steps.iter().any(|step| matches!(step, Step::Cancel(_))) {
                    self.abandon_client(client);
                }
                self.run_steps(id, steps, None);
            }
        }
    }

    fn with_proxying(&self, id: ServerId, event: impl FnOnce(&mut Proxying) -> Steps) -> Steps {
        let mut table = self.table();
        let proxying = table.server(id).and_then(|server| server.proxying.as_deref_mut());
        proxying.map(event).unwrap_or_default()
    }

    fn run_steps(&self, id: ServerId, steps: Steps, mut response: Option<Kept>) {
        for step in steps {
            match step {
                Step::Launch(branch) => self.launch(id, branch),
                Step::Forward(_) => {
                    if let Some((response, _)) = &response {
                        // Answered in between by the script: then this response is one too many.
                        let _ = self.respond(id, response);
                    }
                }
                Step::Keep(_) => {
                    if let Some(response) = response.take() {
                        self.with_proxying(id, |proxying| {
                            proxying.best = Some(response);
                            Steps::new()
                        });
                    }
                }
                Step::Challenge(_) => {
                    if let Some((response, _)) = &response {
                        self.add_challenges(id, response);
                    }
                }
                Step::Cancel(branch) => {
                    let mut table = self.table();
                    let proxying = table.server(id).and_then(|server| server.proxying.as_ref());
                    let client = proxying.and_then(|proxying| proxying.branches.get(usize::from(branch.0))?.client);
                    drop(table);
                    if let Some(client) = client {
                        self.cancel_client(client);
                    }
                }
                Step::Final(outcome) => {
                    if let Some(concluding) = self.conclusions().add(id, outcome) {
                        while let Some((id, outcome)) = concluding.next() {
                            self.conclude(id, outcome);
                        }
                    }
                }
                Step::Done => {}
            }
        }
    }

    /// §16.7 step 7: challenges of all branches go into the one response.
    fn add_challenges(&self, id: ServerId, response: &Message) {
        self.with_proxying(id, |proxying| {
            if let Some((best, _)) = &mut proxying.best {
                for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
                    for value in response.values(name) {
                        best.push(name, value);
                    }
                }
            }
            Steps::new()
        });
    }

    /// All branches failed: the failure route decides, if one is armed, else the sender is told.
    fn conclude(&self, id: ServerId, outcome: Outcome) {
        let armed = {
            let mut table = self.table();
            let Some(proxying) = table.server(id).and_then(|server| server.proxying.as_ref()) else { return };
            // A request that its sender cancelled has no failure to be mended.
            let name = match proxying.fork.is_cancelled() {
                true => None,
                false => proxying.routing.state.borrow_mut().on_failure.take(),
            };
            let tried = proxying.branches.len();
            name.map(|name| (name, proxying.routing.clone(), proxying.best.clone(), tried))
        };
        let Some((name, routing, best, tried)) = armed else { return self.answer(id, outcome) };
        let own = |status| (routing.request.borrow().reply(status, status::reason(status)), None);
        let (response, source) = match (outcome, best) {
            (Outcome::Kept(_), Some(best)) => best,
            // By §16.7 step 6 the sender gets 500 instead of a 503. The script sees the next hop's status, or the one
            // that stands for it.
            (Outcome::Own(500), Some(best)) if best.0.status() == 503 => best,
            (Outcome::Own(500), _) => own(503),
            (Outcome::Own(status), _) => own(status),
            (Outcome::Kept(_) | Outcome::Silence, _) => own(408),
        };
        let context = Context::in_route(&routing, Routes::FAILURE, Some(Rc::new(RefCell::new(response))))
            .with_response_source(source);
        self.run_route(Route::Failure(name), context, move |worker, _| {
            let undecided = {
                let mut table = worker.table();
                let server = table.server(id).filter(|server| server.routing.is_some());
                server
                    .and_then(|server| server.proxying.as_ref())
                    .is_some_and(|proxying| proxying.branches.len() == tried)
            };
            if undecided {
                worker.answer(id, outcome);
            }
        });
    }

    fn answer(&self, id: ServerId, outcome: Outcome) {
        let (routing, best) = {
            let mut table = self.table();
            let Some(proxying) = table.server(id).and_then(|server| server.proxying.as_mut()) else { return };
            (proxying.routing.clone(), proxying.best.take())
        };
        let result = match (outcome, best) {
            (Outcome::Kept(_), Some((best, _))) => self.respond(id, &best),
            (Outcome::Silence, _) => return self.abandon_server(id),
            (outcome, best) => {
                let status = if let Outcome::Own(status) = outcome { status } else { 500 };
                let request = routing.request.borrow();
                let mut response = request.reply(status, status::reason(status));
                self.tag(&mut response, &request);
                // A 503 becomes 500 (§16.7 step 6) and keeps its reason.
                let best = best.filter(|(best, _)| best.status() == 503);
                for warning in best.iter().flat_map(|(best, _)| best.values(HeaderName::Warning)) {
                    response.push(HeaderName::Warning, warning);
                }
                drop(request);
                self.respond(id, &response)
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "the final response of a relayed request was not needed any more");
        }
    }

    /// Sends the request to one target (§16.6).
    fn launch(&self, id: ServerId, branch: BranchId) {
        let (routing, request, way) = {
            let mut table = self.table();
            let Some(proxying) = table.server(id).and_then(|server| server.proxying.as_ref()) else { return };
            let Some(Branch { target, spread, .. }) = proxying.branches.get(usize::from(branch.0)) else { return };
            let mut request = proxying.routing.request.borrow().clone();
            forward::set_breadth(&mut request, proxying.fork.share());
            forward::retarget(&mut request, &target.uri);
            if !target.path.is_empty() {
                request.prepend(HeaderName::Route, &target.path);
            }
            let way = (BranchWay::of(target, &request), *spread);
            (proxying.routing.clone(), request, way)
        };
        let branch_route = routing.state.borrow().on_branch.clone();
        if let Some(name) = branch_route {
            let shared = Rc::new(RefCell::new(request));
            let context = Context::in_route(&routing, Routes::BRANCH, Some(shared.clone()));
            let worker = self.clone();
            return self.run_route(Route::Branch(name), context, move |_, _| {
                let request = Rc::try_unwrap(shared).map_or_else(|shared| shared.borrow().clone(), RefCell::into_inner);
                worker.send_branch((id, branch), &routing, request, way);
            });
        }
        self.send_branch((id, branch), &routing, request, way);
    }

    fn send_branch(
        &self,
        (id, branch): (ServerId, BranchId),
        routing: &Rc<Routing>,
        mut request: Message,
        (way, spread): (BranchWay, u8),
    ) {
        let hop = if routing.max_forwards_done.get() {
            Ok(())
        } else {
            forward::count_hop(&mut request, crate::context::routing::DEFAULT_MAX_FORWARDS)
        };
        let checked = hop.and_then(|()| forward::adapt_to_strict_router(&mut request));
        let strict = match checked {
            Ok(strict) => strict,
            Err(error) => return self.branch_refused(id, branch, &routing.request.borrow(), &error),
        };
        let passage = Passage { loop_hash: routing.loop_hash(), spread };
        let owner = Owner::Branch(id, branch);
        let BranchWay { flow, callee, proved } = way;
        let origin = Origin { routing: Some(routing.clone()), allowance: None, passage, proved, strict, callee };
        self.send_along(request, flow, owner, origin);
    }

    /// A branch whose request could not be sent counts as answered with the status of the error.
    pub(crate) fn branch_refused(&self, id: ServerId, branch: BranchId, request: &Message, error: &Error) {
        tracing::info!(%error, call_id = request.call_id(), "a branch could not be sent");
        let (status, reason) = error.branch_status();
        let mut response = request.reply(status, reason);
        if let Some(warning) = error.warning() {
            response.push(HeaderName::Warning, warning);
        }
        self.tag(&mut response, request);
        self.weigh_response(id, branch, response, None);
    }

    /// Notes which client transaction a branch has.
    pub(crate) fn branch_started(&self, id: ServerId, branch: BranchId, client: ClientId) {
        let mut cancelled = false;
        self.with_proxying(id, |proxying| {
            let invite = *proxying.routing.request.borrow().method() == Method::Invite;
            cancelled = proxying.fork.is_branch_cancelled(branch);
            let state = proxying.routing.state.borrow();
            // Until the branch has a response, only timer B applies.
            let answered = state.answered_within.unwrap_or_else(|| self.timers().duration(Timer::B, 0));
            let within = state.final_within.map_or_else(|| self.timers().c, |within| within.max(answered));
            drop(state);
            if let Some(branch) = proxying.branches.get_mut(usize::from(branch.0)) {
                branch.client = Some(client);
                branch.timer_c = invite.then(|| self.now() + within);
            }
            if invite {
                self.set_timer(within, Due::Client(client, Timer::C));
            }
            Steps::new()
        });
        if cancelled {
            // Cancelled, or no longer needed, while its address was being looked up.
            self.cancel_client(client);
        }
    }
}
