/**
 * `npm test`: installs what the tests need where it can, runs every suite of every package on the compiled output,
 * and ends in one line `N passed, N failed, N skipped`. Zero passed tests is a failure. Suites whose tool is missing
 * skip visibly. Arguments narrow the run to files whose path contains one of them. Files run side by side, each in a
 * process that runs others before and after it: none may rely on a fixed port, folder or order.
 *
 * Suites that speak S3 or use the client library run again with roles apart, and on a cluster with etcd: a sample of
 * them here, all in `test:full`. The others start processes, drives or metadata of one layout by their nature.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Mocha from 'mocha'
import { hasEtcd } from './harness/etcd.js'
import { ensureTools } from './harness/tools.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const TEST_TIMEOUT_MS = 20_000
/** Files at once: many start several server processes of their own. */
const JOBS_MAX = 2

/** In the order of the layers: what others stand on comes first. */
const PACKAGES = ['protocol', 'client', 'metadata-service', 'chunk-server', 'gateway', 'cli', 'bench', 'e2e']

const E2E_SUITES = join('e2e', 'dist', 'test')

/** Paths of the suites that run with the roles apart too. */
const OF_ALL_LAYOUTS: readonly string[] = [
  's3/',
  'acceptance/clients.',
  'browser.',
  'client-library.',
  'secrets.',
  'tls.',
].map((path) => join(E2E_SUITES, path))

/** Some of them: much on the wire, little time. */
const SAMPLE: readonly string[] = ['presigned', 'multipart', 'objects', 'listing'].map((name) =>
  join(E2E_SUITES, 's3', `${name}.test.js`),
)

interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** More than the last line has. */
const LAST_BYTES = 200

const LAST_LINE = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m

async function findSuites(filters: readonly string[]): Promise<string[]> {
  const suites: string[] = []
  for (const name of PACKAGES) {
    const folder = join(ROOT, name, 'dist', 'test')
    if (!existsSync(folder)) continue
    const files = (await readdir(folder, { recursive: true }))
      .filter((file) => file.endsWith('.test.js'))
      .sort()
    suites.push(...files.map((file) => join(folder, file)))
  }
  return suites.filter((suite) => filters.length === 0 || filters.some((filter) => suite.includes(filter)))
}

function runMocha(mocha: Mocha): Promise<Mocha.Stats> {
  return new Promise((resolve) => {
    const runner = mocha.run(() => resolve(runner.stats as Mocha.Stats))
  })
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Runs suites of all layouts in a process of its own, since each file is loaded once; what the last line says. */
async function runApart(roles: 'apart' | 'cluster'): Promise<Counts> {
  const suites = process.env.CAIRN_TEST_SEEDS === undefined ? SAMPLE : OF_ALL_LAYOUTS
  say(`\n  roles: ${roles}`)
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...suites], {
    env: { ...process.env, CAIRN_E2E_ROLES: roles },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let end = ''
  child.stdout.on('data', (text: Buffer) => {
    process.stdout.write(text)
    end = (end + text.toString()).slice(-LAST_BYTES)
  })
  await new Promise((resolve) => child.on('close', resolve))
  const [, passed, failed, skipped] = LAST_LINE.exec(end) ?? []
  // Without a last line it did not come to its end.
  if (passed === undefined) return { passed: 0, failed: 1, skipped: 0 }
  return { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) }
}

async function runHere(filters: readonly string[]): Promise<Counts> {
  const suites = await findSuites(filters)
  const jobs = Math.min(JOBS_MAX, availableParallelism(), suites.length)
  // Suites with the roles apart share a cluster, which one process starts and stops.
  const parallel = jobs > 1 && process.env.CAIRN_E2E_ROLES === undefined
  const mocha = new Mocha({
    timeout: TEST_TIMEOUT_MS,
    reporter: 'spec',
    color: process.stdout.isTTY,
    parallel,
    jobs,
  })
  for (const file of suites) mocha.addFile(file)
  if (!parallel) await mocha.loadFilesAsync()
  const { passes, failures, pending } = await runMocha(mocha)
  return { passed: passes, failed: failures, skipped: pending }
}

const missing = await ensureTools(say)
for (const tool of missing) say(`missing: ${tool} (its suites are skipped)`)
const filters = process.argv.slice(2)
const counts = [await runHere(filters)]
if (filters.length === 0) {
  counts.push(await runApart('apart'))
  if (await hasEtcd()) counts.push(await runApart('cluster'))
  else say('  roles: cluster (skipped: there is no etcd)')
}
const sum = (read: (count: Counts) => number): number =>
  counts.reduce((total, count) => total + read(count), 0)
const failed = sum((count) => count.failed)
const passed = sum((count) => count.passed)
say(`${passed} passed, ${failed} failed, ${sum((count) => count.skipped)} skipped`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
