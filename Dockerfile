# The action's image: a static binary and the certificate authorities it trusts. No shell, no libc.
# `.ci/dist` makes what is copied. One stage, because the classic builder of act builds them all.
FROM scratch
# BuildKit fills it in. The classic builder does not: there it is the machine's usual architecture.
# A default in this line would win over what BuildKit says.
ARG TARGETARCH
COPY dist/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY dist/slipway-linux-${TARGETARCH:-amd64} /slipway
# Compressed layers wait here; WORKDIR is the one way to make a folder without a shell.
WORKDIR /tmp
WORKDIR /github/workspace
# Root, as GitHub asks of a container action: the workspace belongs to the runner's user.
ENTRYPOINT ["/slipway"]
