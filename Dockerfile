# One image for every process of Doordarshan Kendra; the command says which: doordarshan gateway | kendra | media-server | …

FROM node:22-slim AS web
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM python:3.11-slim AS packages
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=rust:1.95-slim /usr/local/cargo /usr/local/cargo
COPY --from=rust:1.95-slim /usr/local/rustup /usr/local/rustup
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1
ENV PATH=/usr/local/cargo/bin:$PATH CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup MATURIN_NO_INSTALL_RUST=1
WORKDIR /app
COPY pyproject.toml uv.lock .python-version README.md ./
COPY sfu/native sfu/native
RUN uv sync --locked --no-dev --group native --no-install-project --no-editable && rm -rf sfu/native/target
COPY contracts contracts
COPY migrations migrations
COPY services services
COPY sfu sfu
RUN uv sync --locked --no-dev --group native --inexact --no-install-package packet-plane

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin doordarshan \
    && install -d -o doordarshan -g doordarshan -m 0755 /users
COPY --from=packages /app /app
COPY --from=web /web/dist /app/web/dist
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 DOORDARSHAN_LOG=json
WORKDIR /app
USER 10001
STOPSIGNAL SIGTERM
CMD ["doordarshan", "--help"]
