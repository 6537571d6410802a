# SPDX-License-Identifier: Apache-2.0
"""The table: what is measured, and what naru should reach.

kind   cost (the default), idle, routes, chain, latency, reload
goal   at most, as a multiple of: `better` of nginx and HAProxy, or `nginx`, or naru with few routes
"""
import statistics

CASES = [
    dict(key='get1k', name='GET 1 KiB, 64 connections', path='/1024', connections=64, goal=0.75, floor=True),
    dict(key='get1k_same', name='… the peers adding the same fields', path='/1024', connections=64, variant='same'),
    dict(key='get1k_logs', name='… with JSON access logs', path='/1024', connections=64, variant='logs', goal=0.80,
         to='nginx'),
    dict(key='get1k_1', name='GET 1 KiB, 1 connection', path='/1024', connections=1, floor=True),
    dict(key='get1k_4096', name='GET 1 KiB, 4,096 connections', path='/1024', connections=4096, goal=0.70,
         to='nginx', floor=True),
    dict(key='get1k_4096_held', name='… 64 at once to the service', path='/1024', connections=4096, variant='held',
         to='nginx'),
    dict(key='get16k', name='GET 16 KiB, 64 connections', path='/16384', connections=64, goal=0.80, floor=True),
    dict(key='get64k', name='GET 64 KiB, 64 connections', path='/65536', connections=64, goal=0.90, floor=True),
    dict(key='post64k', name='POST 64 KiB, 64 connections', path='/', connections=64, script='post64k.lua', goal=0.90,
         floor=True),
    dict(key='close', name='a connection per request', path='/1024', connections=64, close=True, goal=0.90),
    dict(key='close_deferred', name='… the peers deferring accept, too', path='/1024', connections=64, close=True,
         variant='deferred'),
    dict(key='workers', name='GET 1 KiB, two workers', path='/1024', connections=64, variant='workers'),
    dict(key='tcp1k', name='TCP, 1 KiB answers', path='/1024', connections=64, variant='tcp'),
    dict(key='tcp64k', name='TCP, 64 KiB answers', path='/65536', connections=64, variant='tcp'),
    dict(key='routes', name='naru with 100,000 routes', kind='routes', path='/', connections=64, script='routes.lua',
         few=10, many=100000, goal=1.03, to='naru with 10 routes'),
    dict(key='chain', name='naru with the whole chain on', kind='chain', path='/1024', connections=64,
         script='users.lua', goal_us=1.0, to='naru plain'),
    dict(key='idle', name='bytes of an idle connection', kind='idle', path='/1024', connections=64, goal_bytes=500),
    dict(key='latency', name="latency at half of nginx's rate, p50 µs", kind='latency', path='/1024', connections=64,
         goal=1.00, goal_p99=1.10, to='nginx', floor=True),
    dict(key='reload', name='reload of 1,000 routes, ms', kind='reload', path='/api/r998/x', connections=64,
         tunnels=20, variant='reload', goal_ms=10),
]


def ratio(case, got):
    """naru's figure by the one to be compared with, or None."""
    if 'naru' not in got:
        return None
    to = case.get('to', 'better')
    others = {'nginx': ['nginx'], 'better': ['nginx', 'haproxy']}.get(to, [to])
    values = [got[name]['value'] for name in others if name in got]
    return got['naru']['value'] / min(values) if values and min(values) > 0 else None


def added_us(got, to):
    """What naru takes more than the other one: the median of the rounds' differences, because the two
    of a round were measured one after the other."""
    return statistics.median(a - b for a, b in zip(got['naru']['rounds'], got[to]['rounds']))


def failures(case, got):
    """Names and counts of what should not have failed. Peers that lose requests while they reload are
    a finding, naru that does is a failure."""
    return {name: figures['failed'] + figures.get('tunnels_lost', 0) for name, figures in got.items()
            if figures['failed'] + figures.get('tunnels_lost', 0) > 0
            and (case.get('kind') != 'reload' or name == 'naru')}


def verdict(case, got):
    """One line about the goals: (text, all reached?)."""
    words, reached, by = [], True, ratio(case, got)

    def goal(what, value, limit, digits):
        nonlocal reached
        reached = reached and value <= limit
        words.append(f'{what} {value:.{digits}f}, goal {limit:.{digits}f}{"" if value <= limit else " MISSED"}')

    to = {'better': 'better peer'}.get(case.get('to', 'better'), case.get('to'))
    if by is not None and 'goal' in case:
        goal(f'x {to}', by, case['goal'], 2)
    elif by is not None and case.get('kind') not in ('idle', 'reload'):
        words.append(f'x {to} {by:.2f}')
    if 'naru' not in got:
        return '; '.join(words), reached
    if 'goal_us' in case:
        goal('adds µs', added_us(got, to), case['goal_us'], 2)
    if 'goal_p99' in case and 'nginx' in got:
        goal('p99 x nginx', got['naru']['p99_us'] / got['nginx']['p99_us'], case['goal_p99'], 2)
    if 'goal_bytes' in case:
        goal('bytes', got['naru']['value'], case['goal_bytes'], 0)
    if 'goal_ms' in case:
        goal('ms', got['naru']['value'], case['goal_ms'], 1)
    return '; '.join(words), reached
