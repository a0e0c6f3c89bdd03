//! Rows of exported functions.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitOr, RangeInclusive};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::{Arguments, Value};
use crate::context::Context;

/// A function that the routing script may call: one row is all there is to say about it.
pub struct Function<M> {
    pub(crate) signature: Signature,
    pub(crate) body: Body<M>,
}

/// What is known of a function without calling it.
#[derive(Debug, Clone)]
pub struct Signature {
    pub name: &'static str,
    /// Markdown; the first sentence stands alone in tables.
    pub doc: &'static str,
    pub arguments: Vec<Argument>,
    /// What the first result is, and what it means; empty for none.
    pub result: &'static str,
    pub routes: Routes,
    /// May suspend the request that calls it.
    pub waiting: bool,
}

/// One argument of a function.
#[derive(Debug, Clone)]
pub struct Argument {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub doc: &'static str,
    /// Allowed values of an integer.
    pub range: Option<RangeInclusive<i64>>,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; numbers are taken as their text.
    String,
    /// A whole number; text that is one is taken too, as scripts carried over from SER quote theirs.
    Integer,
    Number,
    Boolean,
    /// A sequence or a record.
    Table,
    Any,
    /// The name of a route that the script defines, of this kind.
    Route(Routes),
}

/// What a function answers to the script.
pub type Outcome = Result<Value, Refusal>;

/// Why a function did not do what was asked.
///
/// Every error converts into [`Refusal::No`] by `?`, since what can't be done is the script's to decide about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The script gets `false` and this reason, and goes on.
    No(Cow<'static, str>),
    /// The call itself is wrong: the script stops with a traceback and the request is answered 500.
    Misuse(Cow<'static, str>),
}

/// A set of route kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routes(u8);

pub(crate) enum Body<M> {
    Plain(PlainBody<M>),
    Waiting(WaitingBody<M>),
}

pub(crate) type PlainBody<M> = Arc<dyn Fn(&M, &Context, &Arguments) -> Outcome + Send + Sync>;
pub(crate) type WaitingBody<M> =
    Arc<dyn Fn(Arc<M>, Context, Arguments) -> LocalBoxFuture<'static, Outcome> + Send + Sync>;

impl<M> Function<M> {
    /// Starts a row: a function of this name, callable in request routes until [`routes`](Self::routes) says otherwise.
    #[expect(clippy::new_ret_no_self, reason = "a row becomes a function by its last word: plain or waiting")]
    pub fn new(name: &'static str) -> Row<M> {
        let signature =
            Signature { name, doc: "", arguments: Vec::new(), result: "", routes: Routes::REQUEST, waiting: false };
        Row(signature, PhantomData)
    }
}

/// A row that still lacks its function.
pub struct Row<M>(Signature, PhantomData<fn(M)>);

impl<M> Row<M> {
    /// What the function does, in Markdown; the first sentence stands alone in tables.
    pub fn doc(mut self, doc: &'static str) -> Self {
        self.0.doc = doc;
        self
    }

    /// Adds an argument that must be given.
    pub fn argument(mut self, name: &'static str, kind: Kind, doc: &'static str) -> Self {
        self.0.arguments.push(Argument { name, kind, required: true, doc, range: None });
        self
    }

    /// Adds an argument that may be left out.
    pub fn optional(mut self, name: &'static str, kind: Kind, doc: &'static str) -> Self {
        self.0.arguments.push(Argument { name, kind, required: false, doc, range: None });
        self
    }

    /// Bounds the integer argument added last.
    pub fn range(mut self, range: RangeInclusive<i64>) -> Self {
        if let Some(argument) = self.0.arguments.last_mut() {
            argument.range = Some(range);
        }
        self
    }

    /// Names the result and says what it means: `"boolean: true once the binding is stored"`.
    pub fn result(mut self, result: &'static str) -> Self {
        self.0.result = result;
        self
    }

    /// The routes that may call it.
    pub fn routes(mut self, routes: Routes) -> Self {
        self.0.routes = routes;
        self
    }

    /// The function, one that never waits.
    pub fn plain(self, body: impl Fn(&M, &Context, &Arguments) -> Outcome + Send + Sync + 'static) -> Function<M> {
        Function { signature: self.0, body: Body::Plain(Arc::new(body)) }
    }

    /// The function, one that may wait for a database, a server or a timer. Only the calling request is suspended, and one that
    /// finds its answer at once costs little more than a plain one.
    pub fn waiting<F>(mut self, body: impl Fn(Arc<M>, Context, Arguments) -> F + Send + Sync + 'static) -> Function<M>
    where
        F: Future<Output = Outcome> + 'static,
    {
        self.0.waiting = true;
        let body = move |module: Arc<M>, context: Context, arguments: Arguments| -> LocalBoxFuture<'static, Outcome> {
            Box::pin(body(module, context, arguments))
        };
        Function { signature: self.0, body: Body::Waiting(Arc::new(body)) }
    }
}

impl Kind {
    /// The name in messages and editor stubs.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Table => "table",
            Self::Any => "any",
            Self::Route(_) => "string",
        }
    }
}

impl Refusal {
    /// `false` and a reason to the script.
    pub fn no(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::No(reason.into())
    }

    /// An error of the script's author.
    pub fn misuse(problem: impl Into<Cow<'static, str>>) -> Self {
        Self::Misuse(problem.into())
    }
}

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::No(error.to_string().into())
    }
}

impl Routes {
    /// `route(msg)`: a request arrived.
    pub const REQUEST: Self = Self(1);
    /// A failure route: the best final response of a relayed request is negative.
    pub const FAILURE: Self = Self(2);
    /// A reply route: a response arrived for a relayed request.
    pub const REPLY: Self = Self(4);
    /// A branch route: a branch is about to be sent.
    pub const BRANCH: Self = Self(8);
    /// `event_route(event)`: something inside the server happened.
    pub const EVENT: Self = Self(16);
    /// A function given to `every(…)`.
    pub const TIMER: Self = Self(32);
    /// `on_start()`.
    pub const START: Self = Self(64);
    /// Every route.
    pub const ANY: Self = Self(127);
    /// The routes that have a request: all but event, timer and start.
    pub const WITH_REQUEST: Self = Self(1 | 2 | 4 | 8);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::REQUEST, "request"),
        (Self::FAILURE, "failure"),
        (Self::REPLY, "reply"),
        (Self::BRANCH, "branch"),
        (Self::EVENT, "event"),
        (Self::TIMER, "timer"),
        (Self::START, "start"),
    ];

    /// Both sets together; the same as `|`, for constants.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the kinds in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(route, _)| self.contains(*route)).map(|(_, name)| name)
    }
}

impl BitOr for Routes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}
