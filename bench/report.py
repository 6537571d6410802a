# SPDX-License-Identifier: Apache-2.0
"""How figures are told: as lines, and as a picture of the JSON."""
import html

import cases as C

COLUMN = 40
COLOURS = {'floor': '#9aa0a6', 'nginx': '#5b8def', 'haproxy': '#d9822b', 'naru': '#1f9d6b'}
NAMES = {'floor': 'bare relay', 'nginx': 'nginx', 'haproxy': 'HAProxy', 'naru': 'naru'}


def figure(case, figures):
    return f'{figures["value"]:.0f}' if case.get('kind') == 'idle' else f'{figures["value"]:.1f}'


def print_row(name, names, cells, remark=''):
    print(f'{name:{COLUMN}}' + ''.join(f'{cells.get(n, "-"):>10}' for n in names) + '   ' + remark, flush=True)


def print_details(case, got, names):
    """Lines below the row: what one figure does not tell."""
    if case.get('kind') == 'latency':
        for key in ('p90_us', 'p99_us', 'p999_us'):
            print_row(f'    {key[:-3]}', names, {n: f'{f[key]:.1f}' for n, f in got.items()})
    if case.get('kind') == 'reload':
        lines = [('longest, ms', lambda f: f'{f["most"]:.1f}'), ('requests failed', lambda f: f['failed']),
                 ('idle connections closed', lambda f: f['closed']), ('tunnels lost', lambda f: f['tunnels_lost']),
                 ('MiB before', lambda f: f'{f["bytes_before"] / 2**20:.1f}'),
                 ('MiB after', lambda f: f'{f["bytes_after"] / 2**20:.1f}'),
                 ('processes after', lambda f: f['processes'])]
        for name, of in lines:
            print_row(f'    {name}', names, {n: of(f) for n, f in got.items()})


def print_case(case, got, names):
    remark, _ = C.verdict(case, got)
    failed = C.failures(case, got)
    if case.get('kind') == 'routes':
        few = got['naru with 10 routes']
        remark = f'{few["value"]:.1f} with {case["few"]}; ' + remark
    if case.get('kind') == 'chain':
        remark = f'{got["naru plain"]["value"]:.1f} without; ' + remark
    print_row(case['name'], names, {n: figure(case, f) for n, f in got.items()},
              remark + (f'  FAILED REQUESTS: {failed}' if failed else ''))
    print_details(case, got, names)


# ---- the picture ----

STYLE = '''
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a } .title { font-size: 16px; font-weight: 600 } .bold { font-weight: 600 }
  line { stroke: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } line { stroke: #3d444d }
  }
'''
WIDTH, LEFT, BAR, GAP = 860, 270, 12, 16
RIGHT = 190


def text(x, y, words, style='', anchor='start'):
    return f'<text x="{x}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{html.escape(words)}</text>'


def bars(case, got, y):
    """One case: its name, a bar for each proxy. Returns the lines and the next y."""
    names = [n for n in COLOURS if n in got]
    longest = max(got[n]['value'] for n in names)
    lines = [text(LEFT - 12, y + len(names) * BAR / 2 + 4, case['name'], anchor='end')]
    by = C.ratio(case, got)
    for name in names:
        width = (WIDTH - LEFT - RIGHT) * got[name]['value'] / longest
        words = figure(case, got[name])
        if name == 'naru' and by is not None:
            words += f' · {by:.2f} × ' + ('nginx' if case.get('to') == 'nginx' else 'the better')
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" rx="2" fill="{COLOURS[name]}"/>')
        lines.append(text(LEFT + width + 6, y + BAR - 3, words, 'small bold' if name == 'naru' else 'small'))
        y += BAR
    return lines, y + GAP


def picture(result):
    drawn = [case for case in C.CASES if case['key'] in result['cases'] and 'kind' not in case
             and not C.failures(case, result['cases'][case['key']])]
    lines, y = [], 92
    for case in drawn:
        some, y = bars(case, result['cases'][case['key']], y)
        lines += some
    versions = result['versions']
    head = [text(20, 30, 'CPU of the proxy, microseconds a request (shorter is better)', 'title'),
            text(20, 50, f'{result["date"]}, {result["machine"]["cpu"]}, {result["machine"]["cores"]} cores; one worker '
                         f'on one core; medians of {result["rounds"]} interleaved rounds; each group to its own scale', 'small')]
    x = 20
    for name, colour in COLOURS.items():
        words = f'{NAMES[name]} {versions.get(name, "").removeprefix("naru ")}'.strip()
        head.append(f'<rect x="{x}" y="63" width="10" height="10" rx="2" fill="{colour}"/>')
        head.append(text(x + 15, 72, words, 'small'))
        x += 30 + 7 * len(words)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 4}" width="{WIDTH}" role="img">\n'
            f'<title>naru beside nginx and HAProxy</title>\n<style>{STYLE}</style>\n' + '\n'.join(head + lines) +
            '\n</svg>\n')
