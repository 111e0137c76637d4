/** The profile "monitoring": every target is scraped, and every query of the dashboard finds something to draw. */
import { readFileSync } from 'node:fs'
import type { RunResult } from '../harness/run.js'
import type { Report } from './report.js'

const DASHBOARD = new URL('../../../../deploy/monitoring/grafana/cairn.json', import.meta.url)
/** Every process of Cairn, and the members of etcd. */
const TARGETS = 13
/** A few scrapes: rates need two. */
const DRAWN_MS = 120_000
const SERVER = 'http://127.0.0.1:9090'

/** What `promtool query instant` prints for one series: its labels and its value. */
const SERIES = /=> \S+ @/g

type Compose = (...args: string[]) => Promise<RunResult>

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[]
}

/** Starts Prometheus from the profile and asks it what Grafana would. `compose` is `docker-compose` on this project. */
export async function checkDashboard(report: Report, compose: Compose): Promise<void> {
  await compose('--profile', 'monitoring', 'up', '--detach', 'prometheus')
  const untilMs = performance.now() + DRAWN_MS
  const up = await untilDrawn(compose, { query: 'up == 1', series: TARGETS, untilMs })
  report.holds('Prometheus scrapes every process', up, `${TARGETS} targets`)
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard
  const queries = new Set(panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)))
  const empty: string[] = []
  for (const query of queries)
    if (!(await untilDrawn(compose, { query, series: 1, untilMs }))) empty.push(query)
  report.holds(
    'every query of the dashboard finds something',
    queries.size > 30 && empty.length === 0,
    `${queries.size} queries${empty.map((query) => `; nothing: ${query}`).join('')}`,
  )
}

/** Whether the query has as many series in time. */
async function untilDrawn(
  compose: Compose,
  { query, series, untilMs }: { query: string; series: number; untilMs: number },
): Promise<boolean> {
  for (;;) {
    const asked = await compose(
      'exec',
      '-T',
      'prometheus',
      'promtool',
      'query',
      'instant',
      SERVER,
      query,
    ).catch(() => undefined)
    if ((asked?.stdout.toString().match(SERIES) ?? []).length >= series) return true
    if (performance.now() > untilMs) return false
    await new Promise((resolve) => setTimeout(resolve, 2_000))
  }
}
