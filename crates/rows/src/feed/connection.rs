use crate::database::{Identity, Link, checked, identify, settings};
use crate::table::identifier;
use crate::{Database, Error};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_postgres::{AsyncMessage, Client, Notification};

/// By this name the feed's sessions are known to all instances.
pub(crate) const NAME: &str = "switchboard rows feed";
/// Its statements are few and small; a server that does not answer them is gone.
const STATEMENT: Duration = Duration::from_secs(10);

/// One connection that listens. It is read by [`Feed::next`] alone, so that nothing overtakes.
pub(crate) struct Feed {
    client: Client,
    link: Link,
    /// Came while a statement was under way.
    waiting: VecDeque<Notification>,
    pub(crate) identity: Identity,
    pub(crate) process: i32,
}

impl Feed {
    /// Connects and listens. When it returns, no later notification on these channels is missed.
    pub(crate) async fn connect(database: &Database, channels: &[String]) -> Result<Feed, Error> {
        checked(async {
            let (client, link) = database.dial().await?;
            let identity = Identity { system: 0, timeline: 0, database: 0 };
            let mut feed = Feed { client, link, waiting: VecDeque::new(), identity, process: 0 };
            feed.run(&settings(NAME, STATEMENT, STATEMENT)).await?;
            let Feed { client, link, waiting, .. } = &mut feed;
            (feed.identity, feed.process) = driven(link, waiting, identify(client)).await?;
            feed.listen(channels).await?;
            Ok(feed)
        })
        .await
    }

    pub(crate) async fn listen(&mut self, channels: &[String]) -> Result<(), Error> {
        let statements: Vec<String> =
            channels.iter().map(|channel| format!("LISTEN {};", identifier(channel))).collect();
        self.run(&statements.concat()).await
    }

    pub(crate) async fn unlisten(&mut self, channel: &str) -> Result<(), Error> {
        self.run(&format!("UNLISTEN {}", identifier(channel))).await
    }

    /// Asks for an answer.
    pub(crate) async fn probe(&mut self) -> Result<(), Error> {
        self.run("SELECT 1").await
    }

    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), Error> {
        let Feed { client, link, waiting, .. } = self;
        driven(link, waiting, async { client.batch_execute(sql).await.map_err(Error::from) }).await
    }

    /// The server process that answers now. A pooler may give another one each time.
    pub(crate) async fn process_now(&mut self) -> Result<i32, Error> {
        let Feed { client, link, waiting, .. } = self;
        driven(link, waiting, async { Ok(identify(client).await?.1) }).await
    }

    /// The next notification. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Notification, Error> {
        if let Some(notification) = self.waiting.pop_front() {
            return Ok(notification);
        }
        poll_fn(|context| poll(&mut self.link, context)).await
    }
}

/// Runs a statement and reads the connection meanwhile.
async fn driven<T>(
    link: &mut Link,
    waiting: &mut VecDeque<Notification>,
    statement: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let mut statement = pin!(statement);
    poll_fn(|context| {
        loop {
            // First the statement, so that its request is sent by the connection's turn.
            if let Poll::Ready(result) = statement.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            match poll(link, context) {
                Poll::Ready(Ok(notification)) => waiting.push_back(notification),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        // The connection may have brought the answer.
        statement.as_mut().poll(context)
    })
    .await
}

fn poll(link: &mut Link, context: &mut Context<'_>) -> Poll<Result<Notification, Error>> {
    loop {
        match link.poll_message(context) {
            Poll::Ready(Some(Ok(AsyncMessage::Notification(notification)))) => return Poll::Ready(Ok(notification)),
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
            Poll::Ready(None) => return Poll::Ready(Err(Error::unavailable("the connection was closed"))),
            Poll::Pending => return Poll::Pending,
        }
    }
}
