"""What the command line says to Postgres: tenants and keys are its own tables, the rest it only reads. Parameters are psycopg's."""

PUT_TENANT = """
    insert into tenants (id, name, allowed_origins) values (%(id)s, coalesce(%(name)s, ''), coalesce(%(origins)s::text[], '{}'))
    on conflict (id) do update set
        name = coalesce(%(name)s, tenants.name), allowed_origins = coalesce(%(origins)s::text[], tenants.allowed_origins)
    returning xmax = 0
"""
MAKE_TENANT = "insert into tenants (id, name) values (%s, %s) on conflict (id) do nothing"
LIST_TENANTS = """
    select id, name, allowed_origins, created_at,
        (select count(*) from api_keys where tenant = tenants.id and revoked_at is null)
    from tenants order by id
"""
ADD_KEY = "insert into api_keys (id, tenant, secret, grants) values (%s, %s, %s, %s)"
PUT_KEY = """
    insert into api_keys (id, tenant, secret, grants) values (%s, %s, %s, %s)
    on conflict (id) do update set secret = excluded.secret, grants = excluded.grants, revoked_at = null
"""
REVOKE_KEY = "update api_keys set revoked_at = now() where id = %s and revoked_at is null returning id"
LIST_KEYS = """
    select id, tenant, grants, created_at, revoked_at from api_keys
    where %(tenant)s::text is null or tenant = %(tenant)s order by tenant, created_at
"""
READ_KEY = "select secret, grants from api_keys where id = %s and revoked_at is null"
LIST_SERVERS = """
    select s.server, s.address, s.streams, s.capacity, s.cpu, coalesce(b.booked, 0) as booked, coalesce(b.draining, false) as draining,
        s.renewed_at > clock_timestamp() - interval '5 s' as alive,
        (select count(*) from allocations a where a.server = s.server and a.boot = s.boot) as meetings
    from media_servers s left join bookings b using (server)
    order by s.server, s.started_at
"""
COUNT_MEETINGS = """
    select count(*) as meetings,
        (select count(*) from participants p where p.left_at is null) as participants
    from meetings where ended_at is null
"""
DECISIONS_SINCE = """
    select p.tenant, p.meeting, coalesce(e.at, p.at) as happened, p.decision from placements p
    left join events e on p.decision ->> 'chosen' is not null and e.tenant = p.tenant and e.meeting = p.meeting
        and e.epoch = p.epoch and e.type in ('MeetingCreated', 'MeetingMoved')
    where p.at >= %(since)s
    order by happened, p.id
"""
ENDS_SINCE = """
    select tenant, meeting, at from events where type = 'MeetingEnded' and at >= %(since)s order by at, tenant, meeting
"""
PLACED_BEFORE = """
    select distinct on (p.tenant, p.meeting)
        p.tenant, p.meeting, p.decision ->> 'chosen', (p.decision ->> 'streams')::integer
    from placements p
    where p.at < %(since)s and p.epoch > 0
    and exists (select from meetings m where m.tenant = p.tenant and m.meeting = p.meeting
        and (m.ended_at is null or m.ended_at >= %(since)s))
    and not exists (select from events e where e.tenant = p.tenant and e.meeting = p.meeting
        and e.type = 'MeetingEnded' and e.at >= p.at and e.at < %(since)s)
    order by p.tenant, p.meeting, p.id desc
"""
MEETINGS_OF_SERVER = """
    select m.tenant, m.meeting, m.epoch, m.participants * m.producers, m.placed_at,
        (select p.decision ->> 'reason' from placements p
            where p.tenant = m.tenant and p.meeting = m.meeting and p.epoch = m.epoch order by p.id desc limit 1),
        null::timestamptz
    from meetings m where m.server = %(server)s
    union all
    select m.tenant, m.meeting, m.kept_epoch, 0, null, null, m.keep_until
    from meetings m where m.kept_server = %(server)s and m.keep_until > clock_timestamp()
    order by 1, 2, 3
"""
FIND_LOG = """
    select h.tenant, h.base, h.head, b.sequence, b.at, b.state::text
    from event_heads h
    join meetings m on m.tenant = h.tenant and m.meeting = h.meeting
    left join log_bases b on b.tenant = h.tenant and b.meeting = h.meeting
    where h.meeting = %(meeting)s and (%(tenant)s::text is null or h.tenant = %(tenant)s)
    order by h.tenant
"""
READ_LOG = """
    select sequence, at, epoch, type, "to", body::text from events
    where tenant = %(tenant)s and meeting = %(meeting)s and sequence > %(after)s order by sequence
"""
TABLE_SIZES = """
    select c.relname as name, greatest(c.reltuples, s.n_live_tup, 0)::bigint as rows, pg_total_relation_size(c.oid) as bytes
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
    left join pg_stat_all_tables s on s.relid = c.oid
    where c.relkind = 'r' and c.relname !~ 'yoyo'
    order by bytes desc, name
"""
OLDEST_ROWS = """
    select 'events' as name, min(at) as oldest from events
    union all select 'steps', min(at) from steps
    union all select 'handled_commands', min(at) from handled_commands
    union all select 'placements', min(at) from placements
    union all select 'participants', min(left_at) from participants where left_at is not null
    union all select 'meetings', min(ended_at) from meetings where ended_at is not null
"""
