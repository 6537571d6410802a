# SPDX-License-Identifier: Apache-2.0
"""The proxies under measurement: how each is configured, started and stopped.

A variant is one configuration of the same meaning for all: see VARIANTS.
"""
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, 'build-bench')
PROXY_CORE, LOAD_CORE, BOTH_CORES = '0', '1', '0,1'

# What each variant means for all proxies. nginx holds bodies in memory wherever they fit.
VARIANTS = {
    'plain': 'keep-alive on both sides, no access log; nothing added to heads but by naru',
    'same': 'the peers add what naru adds: X-Forwarded-For, -Proto, -Host, X-Request-Id, Via',
    'deferred': 'the peers accept with the first bytes, as naru does (TCP_DEFER_ACCEPT)',
    'logs': 'a JSON line with the same fields for each request, to /dev/null; nginx buffers 64 KiB',
    'workers': 'two workers on both cores, which load and origin share',
    'tcp': 'bytes passed on, unparsed',
    'held': 'naru and HAProxy give the service 64 requests at once and hold the rest in line; nginx cannot',
    'chain': 'naru with all that protects a service: three limits, breaker, bulkhead, retries, ejection',
    'reload': '1,000 routes, of which the last tells the version of the configuration',
}

NGINX_CONF = '''
{load}
daemon off; worker_processes {workers}; pid {dir}/nginx.pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
{body}
'''

NGINX_HTTP = '''
http {{
  {log}
  keepalive_requests 1000000000; keepalive_timeout 600s; {min_timeout}
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  client_body_buffer_size 128k; client_max_body_size 0;
  proxy_buffers 16 8k; proxy_max_temp_file_size 0;
  proxy_http_version 1.1; proxy_set_header Connection "";
  {heads}
  upstream origin {{
    server 127.0.0.1:{origin}; keepalive 4096; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096{deferred};
    location / {{ proxy_pass http://origin; }}
    {routes}
  }}
}}
'''

NGINX_STREAM = '''
stream {{
  server {{ listen 127.0.0.1:{port} backlog=4096; proxy_pass 127.0.0.1:{origin}; }}
}}
'''

NGINX_LOG = '''
  log_format json escape=json '{{"timestamp":"$time_iso8601","level":"info","service":"nginx",'
    '"message":"answered","request_id":"$request_id","method":"$request_method","path":"$uri",'
    '"host":"$http_host","status":$status,"duration_ms":$request_time,"ip":"$remote_addr",'
    '"user_agent":"$http_user_agent","route":"/*","upstream":"origin","instance":"$upstream_addr",'
    '"attempts":1,"bytes_in":$request_length,"bytes_out":$bytes_sent}}';
  access_log /dev/null json buffer=64k flush=1s;
'''

NGINX_SAME = '''
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Request-Id $request_id;
  proxy_set_header Via "1.1 nginx";
  add_header Via "1.1 nginx"; add_header X-Request-Id $request_id;
'''

NGINX_UPGRADE = '''
  map $http_upgrade $connection_of_upgrade {{ default upgrade; '' ''; }}
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_of_upgrade;
'''

HAPROXY_CONF = '''
global
  nbthread {workers}
  maxconn 9800
  {log_to}
defaults
  mode {mode}
  timeout connect 3s
  timeout client 600s
  timeout server 600s
  {http}
frontend in
  bind 127.0.0.1:{port} backlog 4096{deferred}
  {frontend}
  default_backend origin
backend origin
  {backend}
  server o 127.0.0.1:{origin} {pool}
'''

HAPROXY_HTTP = '''
  timeout http-keep-alive 600s
  timeout tunnel 600s
  option http-keep-alive
  http-reuse always
'''

HAPROXY_LOG = '''
  log global
  capture request header Host len 64
  capture request header User-Agent len 64
  unique-id-format %{+X}o\\ %ci%cp%ts%rt
  log-format '{"timestamp":"%T","level":"info","service":"haproxy","message":"answered",\
"request_id":"%ID","method":"%HM","path":"%HPO","host":"%[capture.req.hdr(0)]","status":%ST,\
"duration_ms":%Ta,"ip":"%ci","user_agent":"%[capture.req.hdr(1)]","route":"/*","upstream":"%b",\
"instance":"%si:%sp","attempts":1,"bytes_in":%U,"bytes_out":%B}'
'''

HAPROXY_SAME = '''
  unique-id-format %{+X}o\\ %ci%cp%ts%rt
  unique-id-header X-Request-Id
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request add-header Via 1.1\\ haproxy
  http-response add-header Via 1.1\\ haproxy
  http-response set-header X-Request-Id %[unique-id]
'''

NARU_CONF = '''
gateway:
  workers: {workers}
  listen:
    - address: "127.0.0.1:{port}"
      limits: {{ max_connections: 19000, idle_timeout: 10m }}
{tcp}
  routes:
    - match: {{ path: "/*" }}
      service: origin
{guard}{routes}
services:
  origin:
    instances: ["127.0.0.1:{origin}"]
    pool: {{ max_idle: 4096, max_connections: 8192 }}
    bulkhead: {bulkhead}
{policies}observe: {{ metrics: true, access_log: {log} }}
admin: {{ listen: "127.0.0.1:{admin}" }}
'''


# The peers bound nothing here.
NARU_OPEN = '{ concurrent: 8192 }'

# As one would in operation: the service gets what it can work on, the rest waits in line.
HELD = 64
NARU_HELD = f'{{ concurrent: {HELD}, queue: 8192, wait: 5s, target: 5s }}'

# A hierarchy of three limits, each far away, as all that decides and lets pass.
NARU_GUARD = '      limits: [per_user, per_ip, whole]\n'

NARU_POLICIES = '''    retry: { attempts: 3, budget: { ratio: 20%, min: 10/s } }
    breaker: { window: 100, minimum: 50 }
    eject: { interval: 10s }
limits:
  whole: { key: global, rate: 1000000000/min }
  per_ip: { key: ip, rate: 1000000000/min }
  per_user: { key: "header:X-User", rate: 1000000/min, keys: 1000000 }
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Process:
    """A program on its cores, with its own session, that answers on a port."""

    def __init__(self, name, cores, command, port, log, wait_s=10.0):
        self.name, self.port, self.log = name, port, log
        with open(log, 'wb') as out:
            self.process = subprocess.Popen(['taskset', '-c', cores] + command, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, start_new_session=True)
        self._wait(wait_s)

    @property
    def pid(self):
        return self.process.pid

    def _wait(self, wait_s):
        until = time.monotonic() + wait_s
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', self.port)) == 0:
                    return
            time.sleep(0.05)
        said = ''
        if os.path.isfile(self.log):
            with open(self.log, errors='replace') as f:
                said = f.read()
        self.stop()
        sys.exit(f'bench: {self.name} does not answer on port {self.port}:\n{said}')

    def stop(self):
        if self.process.poll() is not None:
            return
        os.killpg(self.pid, signal.SIGTERM)
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


class Proxy(Process):
    """A Process with a configuration that can be written anew and loaded: reload()."""

    def __init__(self, name, cores, command, port, log, conf, text_of, reload_signal):
        self.conf, self.text_of, self.reload_signal = conf, text_of, reload_signal
        if conf:
            self.write(0)
        super().__init__(name, cores, command, port, log, wait_s=60)

    def write(self, version):
        with open(self.conf, 'w') as f:
            f.write(self.text_of(version))

    def reload(self):
        os.kill(self.pid, self.reload_signal)


def sbin(name):
    return shutil.which(name) or f'/usr/sbin/{name}'


def nginx_stream_module():
    found = glob.glob('/usr/lib/nginx/modules/ngx_stream_module.so')
    return found[0] if found else None


def output(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def versions():
    return {'nginx': re.search(r'nginx/([\d.]+)', output([sbin('nginx'), '-v'])).group(1),
            'haproxy': re.search(r'version ([\d.]+)', output([sbin('haproxy'), '-v'])).group(1),
            'naru': output([f'{BUILD}/naru', 'version'])}


def nginx_knows_min_timeout():
    return tuple(int(n) for n in versions()['nginx'].split('.')) >= (1, 27, 4)


def nginx_text(variant, values, version):
    if variant == 'tcp':
        return NGINX_CONF.format(load=f'load_module {nginx_stream_module()};', body=NGINX_STREAM.format(**values),
                                 workers=1, dir=values['dir'])
    reload = variant == 'reload'
    routes = ''.join(f'location ^~ /api/r{i}/ {{ proxy_pass http://origin; }}\n' for i in range(999)) if reload else ''
    if reload:
        routes += f'location = /version {{ return 200 "{version}\\n"; }}'
    heads = NGINX_SAME if variant == 'same' else NGINX_UPGRADE.format() if reload else ''
    body = NGINX_HTTP.format(log=NGINX_LOG.format() if variant == 'logs' else 'access_log off;', heads=heads,
                             min_timeout='keepalive_min_timeout 3s;' if reload and nginx_knows_min_timeout() else '',
                             deferred=' deferred' if variant == 'deferred' else '', routes=routes, **values)
    return NGINX_CONF.format(load='', body=body, workers=2 if variant == 'workers' else 1, dir=values['dir'])


def haproxy_text(variant, values, version):
    frontend = {'logs': HAPROXY_LOG, 'same': HAPROXY_SAME}.get(variant, '')
    if variant == 'reload':
        frontend = ('http-request return status 200 content-type text/plain '
                    f'string "{version}\\n" if {{ path /version }}\n')
        frontend += ''.join(f'  use_backend origin if {{ path_beg /api/r{i}/ }}\n' for i in range(999))
    tcp = variant == 'tcp'
    return HAPROXY_CONF.format(workers=2 if variant == 'workers' else 1, mode='tcp' if tcp else 'http',
                               log_to='log stdout format raw local0' if variant == 'logs' else '',
                               deferred=' defer-accept' if variant == 'deferred' else '',
                               http='' if tcp else HAPROXY_HTTP, frontend=frontend, backend='',
                               pool=('' if tcp else 'pool-max-conn 4096') +
                               (f' maxconn {HELD}' if variant == 'held' else ''), **values)


def naru_text(variant, values, version):
    routes = values['route_count']
    lines = ''.join(f'    - {{ match: "/api/r{i}/*", service: origin }}\n' for i in range(routes))
    if variant == 'reload':
        lines = ''.join(f'    - {{ match: "/api/r{i}/*", service: origin }}\n' for i in range(999))
        lines += f'    - {{ match: /version, respond: {{ body: "{version}\\n" }} }}\n'
    return NARU_CONF.format(workers=2 if variant == 'workers' else 1, log='true' if variant == 'logs' else 'false',
                            tcp='      tcp: origin' if variant == 'tcp' else '', port=values['port'],
                            bulkhead=NARU_HELD if variant == 'held' else NARU_OPEN,
                            guard=NARU_GUARD if variant == 'chain' else '',
                            policies=NARU_POLICIES if variant == 'chain' else '',
                            origin=values['origin'], admin=values['admin'], routes=lines)


def can(name, variant):
    """Is there such a thing as this proxy in this variant?"""
    if name == 'floor':
        return variant == 'plain'
    if name == 'nginx' and variant == 'tcp':
        return nginx_stream_module() is not None
    return True


def start_peer(name, origin_port, work, under=(), variant='plain', routes=0):
    """name: floor, nginx, haproxy, naru, or the path of another naru binary; under: what runs it."""
    label = os.path.basename(os.path.dirname(name)) if '/' in name else name
    place = os.path.join(work, f'{label}-{variant}-{routes}')
    os.makedirs(place, exist_ok=True)
    port, conf = free_port(), os.path.join(place, 'conf')
    values = dict(dir=place, port=port, origin=origin_port, admin=free_port(), route_count=routes)
    log = '/dev/null' if variant == 'logs' else os.path.join(place, 'log')
    cores = BOTH_CORES if variant == 'workers' else PROXY_CORE
    if name == 'floor':
        return Proxy(label, cores, [f'{BUILD}/bench/bench-relay', str(port), str(origin_port)], port, log,
                     None, None, None)
    text, command, reload_signal = {
        'nginx': (nginx_text, [sbin('nginx'), '-c', conf, '-e', f'{place}/err'], signal.SIGHUP),
        'haproxy': (haproxy_text, [sbin('haproxy')] + (['-W', '-S', f'{place}/master.sock'] if variant == 'reload'
                                                       else []) + ['-f', conf], signal.SIGUSR2),
    }.get(name, (naru_text, [f'{BUILD}/naru' if name == 'naru' else name, 'serve', '-c', conf], signal.SIGHUP))
    return Proxy(label, cores, list(under) + command, port, log, conf, lambda version: text(variant, values, version),
                 reload_signal)


def start_origin(work, cores=LOAD_CORE):
    port = free_port()
    return Process('origin', cores, [f'{BUILD}/bench/bench-origin', str(port)], port,
                   os.path.join(work, f'origin-{port}.log'))


def shortened(text):
    """A configuration for the record: of a thousand alike routes, two."""
    lines = text.strip().splitlines()
    alike = [line for line in lines if '/api/r' in line]
    return '\n'.join(line for line in lines if line not in alike[2:]) + \
        (f'\n# … and {len(alike) - 2} routes more\n' if len(alike) > 2 else '\n')


def below(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            tasks = os.listdir(f'/proc/{one}/task')
        except OSError:
            continue
        found.append(one)
        for task in tasks:
            try:
                with open(f'/proc/{one}/task/{task}/children') as f:
                    todo += [int(child) for child in f.read().split()]
            except OSError:
                pass
    return found


def cpu_ns(pid):
    """User and system time of the process and its descendants, by the scheduler."""
    total = 0
    for one in below(pid):
        for task in os.listdir(f'/proc/{one}/task'):
            with open(f'/proc/{one}/task/{task}/schedstat') as f:
                total += int(f.read().split()[0])
    return total


def anonymous_bytes(pid):
    total = 0
    for one in below(pid):
        try:
            with open(f'/proc/{one}/smaps_rollup') as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith('Anonymous:')) * 1024
        except OSError: # it has just ended
            pass
    return total
