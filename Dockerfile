# docker build -t switchboard .
# docker run -d --name switchboard --read-only --cap-drop ALL -v switchboard:/var/lib/switchboard \
#     -p 127.0.0.1:25000:25000 -p 127.0.0.1:61613:61613 -p 127.0.0.1:25080:25080 \
#     -p 127.0.0.1:5555:5555 -p 127.0.0.1:8088:8088 switchboard

# Every page asks for the access token, since the services listen on all addresses of the container. It is made at the first start:
# docker cp switchboard:/var/lib/switchboard/token - | tar -xO
# Or choose one, of at least 16 characters, by `--env SWITCHBOARD_TOKEN=TOKEN`.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock LICENSE-MIT LICENSE-APACHE ./
COPY crates crates
COPY sim sim
COPY bench bench
COPY packaging packaging
RUN cargo build --release --locked --package switchboard --bin switchboard \
    && packaging/licenses /licenses \
    && mkdir --mode=0700 /data

# The C library and nothing else: no shell, no package manager. Of the same Debian as the stage above.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /source/target/release/switchboard /usr/bin/switchboard
COPY --from=build /licenses /usr/share/doc/switchboard
COPY --from=build --chown=65532:65532 /data /var/lib/switchboard
COPY packaging/etc/container.toml /etc/switchboard/switchboard.toml
USER 65532:65532
VOLUME /var/lib/switchboard
EXPOSE 25000 61613 5555 8088 25080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/usr/bin/switchboard", "health"]
ENTRYPOINT ["/usr/bin/switchboard"]
CMD ["up", "--config", "/etc/switchboard/switchboard.toml"]
