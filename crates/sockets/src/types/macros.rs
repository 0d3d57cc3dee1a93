//! The methods of the types, each written once.

macro_rules! socket {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ident),* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            // Before the socket, which may wait at its drop for what they have.
            $($field: $type,)*
            socket: Socket,
        }

        impl $name {
            /// A socket with the default [`Options`].
            ///
            /// # Errors
            ///
            /// [`Error::NoThread`].
            pub fn new() -> Result<$name, Error> {
                $name::with(Options::default())
            }

            /// A socket with these options.
            ///
            /// # Errors
            ///
            /// [`Error::Option`], [`Error::NoThread`].
            pub fn with(options: Options) -> Result<$name, Error> {
                let socket = Socket::new(SocketType::$name, options)?;
                Ok($name { $($field: macros::$field(&socket),)* socket })
            }

            /// Closes it. The result says whether everything that was accepted is written, or `linger` was too short.
            ///
            /// # Errors
            ///
            /// [`Error::Unsent`].
            pub fn close(self) -> Closing {
                Closing::new(self.socket.core.clone())
            }
        }

        impl Deref for $name {
            type Target = Socket;

            fn deref(&self) -> &Socket {
                &self.socket
            }
        }

        impl traits::SocketKind for $name {
            const TYPE: SocketType = SocketType::$name;

            fn with(options: Options) -> Result<$name, Error> {
                $name::with(options)
            }

            fn close(self) -> Closing {
                $name::close(self)
            }
        }
    };
}

pub(super) fn sink(socket: &crate::Socket) -> crate::sink::SinkState {
    crate::sink::SinkState::new(socket.core.clone())
}

pub(super) fn receiver(_socket: &crate::Socket) -> crate::inbox::Receiver {
    crate::inbox::Receiver::default()
}

macro_rules! receives {
    ($($name:ident),*) => {$(
        impl $name {
            /// The next message: `recv().await` on any executor, `recv().wait()` in a plain thread.
            ///
            /// # Errors
            ///
            /// [`Error::Ended`].
            #[inline]
            pub fn recv(&mut self) -> crate::recv::Receiving<'_> {
                crate::recv::Receiving::new(&self.socket.core, &mut self.receiver)
            }

            /// The next message, if it is here already.
            #[inline]
            pub fn try_recv(&mut self) -> Option<crate::Message> {
                let core = &self.socket.core;
                self.receiver.take(&core.inbox, &core.subscriptions)
            }

            /// Blocks for each message.
            pub fn iter(&mut self) -> impl Iterator<Item = crate::Message> {
                std::iter::from_fn(|| self.recv().wait().ok())
            }
        }

        /// It ends when the runtime does.
        impl futures_core::Stream for $name {
            type Item = crate::Message;

            fn poll_next(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<crate::Message>> {
                let this = self.get_mut();
                let core = &this.socket.core;
                core.is_awaited();
                this.receiver.poll(&core.inbox, &core.subscriptions, context).map(Result::ok)
            }
        }

        impl traits::SocketReceive for $name {
            fn recv(&mut self) -> crate::recv::Receiving<'_> {
                $name::recv(self)
            }

            fn try_recv(&mut self) -> Option<crate::Message> {
                $name::try_recv(self)
            }
        }
    )*};
}

macro_rules! sends {
    ($($name:ident),*) => {$(
        impl $name {
            /// Sends a message: `send(..).await` on any executor, `send(..).wait()` in a plain thread. It is done when the message
            /// waits for its peers. A [`Push`] waits for room; the others never wait for a peer, but an awaited send lets others run
            /// now and then.
            ///
            /// # Errors
            ///
            /// [`Error::MessageTooLong`], [`Error::Parts`], [`Error::Ended`].
            #[inline]
            pub fn send<M: crate::Payload>(&self, message: M) -> crate::send::Sending<'_, M> {
                crate::send::Sending::new(&self.socket.core, message)
            }

            /// Sends a message if there is room for it now.
            ///
            /// # Errors
            ///
            /// As `send`; a [`Push`] also [`Error::WouldBlock`].
            #[inline]
            pub fn try_send<M: crate::Payload>(&self, message: M) -> Result<(), Error> {
                crate::send::Sending::new(&self.socket.core, message).attempt()
            }
        }

        impl traits::SocketSend for $name {
            fn send<M: crate::Payload>(&self, message: M) -> crate::send::Sending<'_, M> {
                $name::send(self, message)
            }

            fn try_send<M: crate::Payload>(&self, message: M) -> Result<(), Error> {
                $name::try_send(self, message)
            }
        }
    )*};
}

macro_rules! subscribes {
    ($($name:ident),*) => {$(
        impl $name {
            /// Receives messages whose first part begins with `prefix`, also from peers that connect later. Every name begins with the
            /// empty prefix. Messages that a peer sends before it knows of the subscription are missed.
            ///
            /// # Errors
            ///
            /// [`Error::MessageTooLong`] if the prefix has more than 32 KiB.
            pub fn subscribe(&self, prefix: impl AsRef<[u8]>) -> Result<(), Error> {
                let prefix = prefix.as_ref();
                if prefix.len() > macros::LONGEST_PREFIX {
                    return Err(Error::MessageTooLong { length: prefix.len(), limit: macros::LONGEST_PREFIX });
                }
                self.socket.core.subscriptions.change(true, prefix);
                Ok(())
            }

            /// Takes back one [`subscribe`](Self::subscribe) with the same prefix. Messages that are here already and match
            /// no other subscription are not received any more. Returns false if there was none.
            pub fn unsubscribe(&self, prefix: impl AsRef<[u8]>) -> bool {
                self.socket.core.subscriptions.change(false, prefix.as_ref())
            }
        }
    )*};
}

/// The longest prefix that a peer with the default limit for commands takes.
pub(crate) const LONGEST_PREFIX: usize = 32 << 10;

pub(super) use {receives, sends, socket, subscribes};
