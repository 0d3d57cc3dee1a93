//! `switchboard send`.

use crate::cli::Send;
use crate::output::{self, note};
use crate::session::{Incoming, Session, random};
use anyhow::{Result, bail};
use serde_json::json;
use std::io::BufRead;
use std::time::Duration;
use switchboard_wire::native;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// What is sent before the broker is asked whether it has it, at most, give or take one message.
const FLUSH: usize = 1 << 20;

/// Sends what was asked for, and returns when the broker has all of it.
pub(crate) async fn run(args: &Send) -> Result<()> {
    let mut sender = Sender::start(args).await?;
    if args.stdin {
        from_stdin(args, &mut sender).await?;
    } else {
        made_up(args, &mut sender).await?;
    }
    sender.flush().await?;
    sender.session.end().await;
    if args.json {
        output::write(format!("{}\n", json!({ "channel": args.channel, "sent": sender.sent })).as_bytes())?;
    }
    Ok(())
}

async fn made_up(args: &Send, sender: &mut Sender<'_>) -> Result<()> {
    let me = format!("{:08x}", random() as u32);
    let fill = args.size.map(|size| "X".repeat(size));
    let count = args.count.unwrap_or(if args.data.is_some() { 1 } else { u64::MAX });
    let pause = if args.data.is_some() { Duration::ZERO } else { Duration::from_secs(1) };
    let pause = args.interval.unwrap_or(pause);
    for i in 0..count {
        let made;
        let message = match (&args.data, &fill) {
            (Some(given), _) | (None, Some(given)) => given,
            (None, None) => {
                made = format!("Msg {i} from {me}");
                &made
            }
        };
        sender.push(message.as_bytes()).await?;
        sender.pause(pause, i + 1 == count).await?;
    }
    Ok(())
}

async fn from_stdin(args: &Send, sender: &mut Sender<'_>) -> Result<()> {
    let (give, mut take) = mpsc::channel(1024);
    // A thread of its own: a read of the standard input cannot be interrupted, so nothing may wait for it.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let last = line.is_err();
            if give.blocking_send(line).is_err() || last {
                return;
            }
        }
    });
    let pause = args.interval.unwrap_or_default();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let line = match take.try_recv() {
            Ok(line) => line,
            Err(_) => {
                // The next line may be long in coming: what there is goes out now.
                sender.flush().await?;
                match take.recv().await {
                    Some(line) => line,
                    None => return Ok(()),
                }
            }
        };
        left -= 1;
        sender.push(&line?).await?;
        sender.pause(pause, left == 0).await?;
    }
    Ok(())
}

struct Sender<'a> {
    args: &'a Send,
    session: Session,
    /// Frames that the broker has not confirmed. They are sent again over the next connection.
    unconfirmed: Vec<u8>,
    sent: u64,
}

impl<'a> Sender<'a> {
    async fn start(args: &'a Send) -> Result<Sender<'a>> {
        // An empty name would end the session.
        if args.channel.is_empty() {
            bail!("the channel's name is empty");
        }
        let session = Session::connect(&args.peer, b"/null").await?;
        Ok(Sender { args, session, unconfirmed: Vec::new(), sent: 0 })
    }

    async fn push(&mut self, message: &[u8]) -> Result<()> {
        if u32::try_from(message.len()).is_err() {
            bail!("message {} has {} bytes, more than a frame can hold", self.sent, message.len());
        }
        native::encode(self.args.channel.as_bytes(), &mut self.unconfirmed);
        native::encode(message, &mut self.unconfirmed);
        self.sent += 1;
        if self.unconfirmed.len() >= FLUSH {
            self.flush().await?;
        }
        Ok(())
    }

    async fn pause(&mut self, pause: Duration, last: bool) -> Result<()> {
        if !pause.is_zero() && !last {
            self.flush().await?;
            sleep(pause).await;
        }
        Ok(())
    }

    /// Returns when the broker has everything.
    async fn flush(&mut self) -> Result<()> {
        if self.unconfirmed.is_empty() {
            return Ok(());
        }
        let mut refused = 0;
        while let Err(error) = self.try_flush().await {
            refused += 1;
            if self.args.peer.once {
                return Err(error.context("not everything was sent"));
            }
            // One that refuses the same bytes every time, for being too big, will do so for ever.
            if refused == 5 {
                return Err(
                    error.context("the broker took the connection, but not the messages, 5 times (its log says why)")
                );
            }
            note(format_args!("{error:#}; connecting again."));
            sleep(crate::session::jitter(Duration::from_millis(200))).await;
            self.session = Session::connect(&self.args.peer, b"/null").await?;
        }
        self.unconfirmed.clear();
        Ok(())
    }

    async fn try_flush(&mut self) -> Result<()> {
        self.session.write(&self.unconfirmed).await?;
        let wanted = self.session.echo().await?;
        loop {
            match self.session.next().await? {
                Incoming::Echo(number) if number == wanted => return Ok(()),
                Incoming::End => bail!("the broker closed the connection"),
                Incoming::Echo(_) | Incoming::Message(_) => {}
            }
        }
    }
}
