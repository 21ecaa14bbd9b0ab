# syntax=docker/dockerfile:1
# The image of Keyward: the program, its licence, and what glibc needs. Build it with
#   docker build -t keyward .
# scripts/try-image shows without a container engine that nothing else is needed.

# Both images are of Debian 12, so that the program finds the glibc that it was linked with. Pin them by digest where you build:
# --build-arg BUILDER=rust@sha256:…
ARG BUILDER=rust:1.95-slim-bookworm
# glibc, libgcc and the certificates of public authorities, without shell and package manager. Not a static musl program on an empty
# image: names are resolved by glibc as on the machines of the tests, and rediss:// and sslrootcert=system need the certificates.
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILDER} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Builds a list of all crates into the program, which scanners of images read.
RUN cargo install --locked cargo-auditable@0.7.7
WORKDIR /src
COPY . .
# Lines of the source are in a file of their own, four fifths of the program's size; functions in a backtrace keep their names.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo auditable build --locked --release --bin keyward && \
    mkdir /out && \
    objcopy --only-keep-debug --compress-debug-sections target/release/keyward /out/keyward.debug && \
    objcopy --strip-debug --add-gnu-debuglink=/out/keyward.debug target/release/keyward /out/keyward

# docker build --target debug --output . .   gives keyward.debug, for gdb, perf and addr2line.
FROM scratch AS debug
COPY --from=build /out/keyward.debug /

FROM ${RUNTIME} AS image
LABEL org.opencontainers.image.title="Keyward" \
      org.opencontainers.image.description="Decides whether an API key may do something" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/keyward /usr/local/bin/keyward
COPY LICENSE /usr/share/doc/keyward/LICENSE
# In a container others ask from outside of it; and a PostgreSQL of one's own would be lost with it.
ENV KEYWARD_AUTHORIZE_LISTEN=0.0.0.0:50051 \
    KEYWARD_ADMIN_LISTEN=0.0.0.0:50052 \
    KEYWARD_HTTP_LISTEN=0.0.0.0:50053 \
    KEYWARD_REQUIRE_DATABASE_URL=true
EXPOSE 50051 50052 50053
# As a number, since Kubernetes can only then see that it is not root.
USER 65532:65532
# No HEALTHCHECK: Kubernetes does not look at it, and there is nothing in the image to ask with. Ask for /readyz from outside.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/keyward"]
CMD ["serve"]
