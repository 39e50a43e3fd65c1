-- One writer per table; the comment above each table names it. Ids match ^[A-Za-z0-9_-]{1,64}$, checked at the edges.

-- writer: operator (command line)
create table tenants (
    id              text primary key,
    name            text not null default '',
    allowed_origins text[] not null default '{}',
    quotas          jsonb not null default '{}',
    created_at      timestamptz not null default now()
);

-- writer: operator (command line). `secret` is sealed with the cluster's secret.
create table api_keys (
    id         text primary key,
    tenant     text not null references tenants (id),
    secret     bytea not null,
    grants     text[] not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
create index on api_keys (tenant);

-- writer: kendra. What is wanted: where the meeting shall live and how much it booked.
create table meetings (
    tenant       text not null,
    meeting      text not null,
    incarnation  uuid not null default gen_random_uuid(),
    participants integer not null check (participants > 0),
    producers    integer not null check (producers > 0),
    server       text,
    boot         text,
    epoch        bigint not null check (epoch > 0),
    created_at   timestamptz not null default now(),
    empty_since  timestamptz default now(),
    ended_at     timestamptz,
    primary key (tenant, meeting),
    check ((server is null) = (boot is null)),
    check (ended_at is null or server is null)
);
create index on meetings (server, boot) where server is not null;
create index on meetings (ended_at) where ended_at is not null;

-- writer: kendra. Who sits where; `closed_below` is the seat below which the media server confirmed that nothing is left.
create table participants (
    tenant       text not null,
    meeting      text not null,
    participant  text not null,
    instance     text not null,
    seat         bigint not null,
    command      uuid not null,
    closed_below bigint not null default 0,
    display_name text,
    joined_at    timestamptz not null default now(),
    left_at      timestamptz,
    primary key (tenant, meeting, participant, instance)
);
create unique index participants_seated on participants (tenant, meeting, participant) where left_at is null;
create index on participants (left_at) where left_at is not null;

-- writer: kendra. Streams booked on each media server.
create table bookings (
    server   text primary key,
    booked   integer not null default 0 check (booked >= 0),
    capacity integer not null check (capacity >= 0),
    draining boolean not null default false,
    constraint bookings_within_capacity check (booked <= capacity)
);

-- writer: kendra. Why each meeting went where; `decision` is contracts.details.Decision as JSON.
create table placements (
    id       bigint generated always as identity primary key,
    tenant   text not null,
    meeting  text not null,
    epoch    bigint not null,
    at       timestamptz not null default now(),
    decision jsonb not null
);
create index on placements (tenant, meeting, id);
create index on placements (at);

-- writer: kendra. The first insert of each of its transactions: one effect per command id and step.
create table steps (
    command uuid not null,
    step    text not null,
    hash    text not null,
    result  jsonb not null default '{}',
    at      timestamptz not null default now(),
    primary key (command, step)
);
create index on steps (at);

-- writer: media server. `renewed_at` is the lease, by this database's clock. Capacity is in streams, egress in bit/s.
create table media_servers (
    server       text not null,
    boot         text not null,
    address      text not null,
    capacity     integer not null check (capacity >= 0),
    cpu          double precision not null default 0,
    egress       double precision not null default 0,
    egress_limit double precision not null default 1e9 check (egress_limit > 0),
    streams      integer not null default 0,
    started_at   timestamptz not null default clock_timestamp(),
    measured_at  timestamptz not null default clock_timestamp(),
    renewed_at   timestamptz not null default clock_timestamp(),
    primary key (server, boot)
);

-- writer: media server.
create table workers (
    server  text not null,
    boot    text not null,
    worker  text not null,
    streams integer not null default 0,
    primary key (server, boot, worker),
    foreign key (server, boot) references media_servers (server, boot) on delete cascade
);

-- writer: media server. Written when the router is made; a meeting is live when one of its epoch exists.
create table allocations (
    tenant     text not null,
    meeting    text not null,
    epoch      bigint not null,
    server     text not null,
    boot       text not null,
    worker     text not null,
    router     text not null unique,
    created_at timestamptz not null default now(),
    primary key (tenant, meeting, epoch)
);
create index on allocations (server, boot);

-- writer: media server.
create table transports (
    id          text primary key,
    tenant      text not null,
    meeting     text not null,
    epoch       bigint not null,
    server      text not null,
    boot        text not null,
    participant text not null,
    instance    text not null,
    seat        bigint not null,
    direction   text not null check (direction in ('send', 'recv')),
    created_at  timestamptz not null default now(),
    foreign key (tenant, meeting, epoch) references allocations (tenant, meeting, epoch) on delete cascade
);
create index on transports (tenant, meeting, epoch, participant);
create index on transports (server, boot);

-- writer: media server.
create table producers (
    id             text primary key,
    tenant         text not null,
    meeting        text not null,
    epoch          bigint not null,
    server         text not null,
    boot           text not null,
    participant    text not null,
    instance       text not null,
    seat           bigint not null,
    transport      text not null references transports (id) on delete cascade,
    kind           text not null check (kind in ('audio', 'video')),
    rtp_parameters jsonb not null,
    paused         boolean not null,
    app_data       jsonb not null,
    created_at     timestamptz not null default now()
);
create index on producers (tenant, meeting, epoch);
create index on producers (transport);
create index on producers (server, boot);

-- writer: media server.
create table consumers (
    id             text primary key,
    tenant         text not null,
    meeting        text not null,
    epoch          bigint not null,
    server         text not null,
    boot           text not null,
    participant    text not null,
    instance       text not null,
    seat           bigint not null,
    transport      text not null references transports (id) on delete cascade,
    producer       text not null references producers (id) on delete cascade,
    kind           text not null check (kind in ('audio', 'video')),
    rtp_parameters jsonb not null,
    paused         boolean not null,
    created_at     timestamptz not null default now()
);
create index on consumers (tenant, meeting, epoch, participant);
create index on consumers (transport);
create index on consumers (producer);
create index on consumers (server, boot);

-- writer: media server. The first insert of each of its transactions; `reply` is the reply's JSON, byte for byte.
create table handled_commands (
    command    uuid primary key,
    hash       text not null,
    reply_type text not null,
    reply      text not null,
    at         timestamptz not null default now()
);
create index on handled_commands (at);

-- writer: both, only through the functions of 0002_events.sql. The row is the meeting's lock.
create table event_heads (
    tenant  text not null,
    meeting text not null,
    epoch   bigint not null default 0,
    head    bigint not null default 0,
    base    bigint not null default 0,
    ended   boolean not null default false,
    primary key (tenant, meeting),
    check (base <= head)
);

-- writer: both, only through append_event.
create table events (
    tenant   text not null,
    meeting  text not null,
    sequence bigint not null,
    epoch    bigint not null,
    at       timestamptz not null default clock_timestamp(),
    type     text not null,
    "to"     text,
    body     jsonb not null,
    primary key (tenant, meeting, sequence)
);
create index on events (at);

-- writer: kendra. How far Redis is thought to have a meeting's log: a hint, apart from the head row so that no relay waits for an append.
create table relays (
    tenant  text not null,
    meeting text not null,
    relayed bigint not null default 0,
    primary key (tenant, meeting)
);
