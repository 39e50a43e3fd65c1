"""The media server's statements, named, with parameters only. Only `store` runs them."""

HANDLED = "select hash, reply_type, reply from handled_commands where command = $1"
INSERT_HANDLED = "insert into handled_commands (command, hash, reply_type, reply) values ($1, $2, $3, $4)"
INSERT_MARKER = """
    insert into handled_commands (command, hash, reply_type, reply) values ($1, '', '', '')
    on conflict do nothing returning command
"""
FORGET_HANDLED = """
    delete from handled_commands where command = any (array(
        select command from handled_commands where at < now() - $1::interval order by at limit $2 for update skip locked
    ))
"""

HOLD_ALLOCATION = "select hold_allocation($1, $2, $3, $4, $5)"
HOLD_MEETING = "select hold_meeting($1, $2, $3, $4, $5)"
APPEND_EVENTS = "select append_events($1, $2, $3, $4, $5, $6)"

INSERT_ALLOCATION = """
    insert into allocations (tenant, meeting, epoch, server, boot, worker, router) values ($1, $2, $3, $4, $5, $6, $7)
"""
DELETE_ALLOCATIONS = """
    delete from allocations where tenant = $1 and meeting = $2 and epoch <= $3 and server = $4 and boot = $5
"""
INSERT_TRANSPORT = """
    insert into transports (tenant, meeting, epoch, server, boot, participant, instance, seat, id, direction)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
CONNECT_TRANSPORT = "update transports set connected = true where id = $1 and not connected"
INSERT_PRODUCER = """
    insert into producers (tenant, meeting, epoch, server, boot, participant, instance, seat, id,
                           transport, kind, rtp_parameters, paused, app_data)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
INSERT_CONSUMER = """
    insert into consumers (tenant, meeting, epoch, server, boot, participant, instance, seat, id,
                           transport, producer, kind, rtp_parameters, paused)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
PAUSE_PRODUCER = "update producers set paused = $2 where id = $1"
PAUSE_CONSUMER = "update consumers set paused = $2 where id = $1"
DELETE_CONSUMERS = """
    delete from consumers where id = any($3) or producer = any($2) or transport = any($1)
    returning id, participant, producer, transport
"""
DELETE_PRODUCERS = (
    "delete from producers where id = any($2) or transport = any($1) returning id, participant, transport"
)
DELETE_TRANSPORTS = "delete from transports where id = any($1) returning id, participant, direction"

FORGET_TRANSPORTS = "delete from transports where id = any($1) and server = $2 and boot = $3"

REGISTER = """
    insert into media_servers (server, boot, address, capacity, egress_limit) values ($1, $2, $3, $4, $5)
    on conflict (server, boot) do update set renewed_at = clock_timestamp()
"""
RENEW = """
    with renewed as (
        update media_servers
        set renewed_at = clock_timestamp(), measured_at = clock_timestamp(), cpu = $3, egress = $4, streams = $5
        where server = $1 and boot = $2 returning server, boot
    ), reported as (
        insert into workers (server, boot, worker, streams)
        select server, boot, worker, streams from renewed, unnest($6::text[], $7::integer[]) as load (worker, streams)
        on conflict (server, boot, worker) do update set streams = excluded.streams
    )
    select boot from renewed
"""
STANDS = "select boot from media_servers where server = $1 and boot = $2"
UNWANTED = """
    select a.tenant, a.meeting, a.epoch,
        case when m.kept_server = a.server and m.kept_boot = a.boot and m.kept_epoch = a.epoch
            then extract(epoch from m.keep_until - clock_timestamp())::double precision else 0 end as keeps
    from allocations a
    left join meetings m on m.tenant = a.tenant and m.meeting = a.meeting
    where a.server = $1 and a.boot = $2
      and (m.epoch is distinct from a.epoch or m.server is distinct from a.server or m.boot is distinct from a.boot)
"""
EARLIER_BOOTS = """
    select earlier.boot from media_servers earlier
    join media_servers own on own.server = earlier.server and own.boot = $2 and earlier.started_at < own.started_at
    where earlier.server = $1
"""

WISHES = """
    select a.tenant, a.meeting, a.epoch, a.router,
        (m.epoch = a.epoch and m.server = a.server and m.boot = a.boot) is true as wanted,
        (m.kept_epoch = a.epoch and m.kept_server = a.server and m.kept_boot = a.boot and m.keep_until > clock_timestamp()) is true as kept
    from allocations a left join meetings m on m.tenant = a.tenant and m.meeting = a.meeting
    where a.server = $1 and a.boot = $2
"""
WISH = """
    select own.tenant, own.meeting, own.epoch, a.router,
        (m.epoch = own.epoch and m.server = $4 and m.boot = $5) is true as wanted,
        (m.kept_epoch = own.epoch and m.kept_server = $4 and m.kept_boot = $5 and m.keep_until > clock_timestamp()) is true as kept
    from (select $1::text as tenant, $2::text as meeting, $3::bigint as epoch) own
    left join allocations a on a.tenant = own.tenant and a.meeting = own.meeting and a.epoch = own.epoch and a.server = $4 and a.boot = $5
    left join meetings m on m.tenant = own.tenant and m.meeting = own.meeting
"""
OBJECTS = """
    with own as (select * from unnest($1::text[], $2::text[], $3::bigint[]) as own (tenant, meeting, epoch))
    select tenant, meeting, epoch, 'transport' as noun, id, null as paused
    from own join transports using (tenant, meeting, epoch) where server = $4 and boot = $5
    union all
    select tenant, meeting, epoch, 'producer', id, paused
    from own join producers using (tenant, meeting, epoch) where server = $4 and boot = $5
    union all
    select tenant, meeting, epoch, 'consumer', id, paused
    from own join consumers using (tenant, meeting, epoch) where server = $4 and boot = $5
"""
FORGOTTEN_BOOTS = """
    select boot from (
        select boot from media_servers where server = $1 union select boot from allocations where server = $1
    ) known
    where boot <> $2 and not exists (
        select from media_servers newer
        join media_servers own on own.server = newer.server and own.boot = $2 and own.started_at <= newer.started_at
        where newer.server = $1 and newer.boot = known.boot
    )
"""
TOLD_WITHOUT_ROW = """
    select body ->> 'producerId' as id, body ->> 'participantId' as participant
    from events where tenant = $1 and meeting = $2 and epoch = $3 and type = 'ProducerCreated'
    and not exists (select from producers where id = body ->> 'producerId')
"""
TOLD_CLOSED = """
    select body ->> case type
        when 'TransportClosed' then 'transportId' when 'ProducerClosed' then 'producerId' else 'consumerId' end as id
    from events where tenant = $1 and meeting = $2 and type in ('TransportClosed', 'ProducerClosed', 'ConsumerClosed')
"""

BURY_BOOT = "select bury_boot($1, $2, $3)"
UNREGISTER = """
    with gone as (delete from allocations where server = $1 and boot = $2)
    delete from media_servers where server = $1 and boot = $2
"""
