/**
 * `cairn fsck [--deep] [--json] [--accept] [--repair-wait]`: is everything that the metadata names on the drives, and
 * everything on the drives named? It changes nothing; `--accept` lets garbage be collected again after a restore.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CheckFinding, CheckReport, ClusterStatus } from '@cairn/protocol'
import type { Config } from '../config.js'
import { AdminError, askAdmin } from '../http/ask-admin.js'
import { createProgress, type Progress, type ProgressStream } from '../progress.js'
import { assertStoreWrites } from './store-trouble.js'

/** Pause between two looks at a check. */
const POLL_MS = 200
/** Pause between two looks at repair, longer than that between two of its rounds. */
const REPAIR_POLL_MS = 2_500
/** Findings shown as text; JSON has them all. */
const FINDINGS_SHOWN = 50

/** They end a check. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Of a check that nobody has said anything of. */
const NOTHING_SEEN: CheckReport = {
  check: '',
  state: 'running',
  phase: '',
  done: 0,
  total: 0,
  blocks: 0,
  underReplicated: 0,
  corrupt: 0,
  orphaned: 0,
  dangling: 0,
  pending: 0,
  findings: [],
}

export interface FsckOptions {
  readonly deep: boolean
  readonly json: boolean
  readonly accept: boolean
  /** Waits first until repair has nothing left to do. */
  readonly repairWait: boolean
  /** Longest wait for repair. */
  readonly waitSeconds: number
}

export interface FsckResult {
  readonly text: string
  /** Nothing is wrong. */
  readonly clean: boolean
}

/** Runs the check to its end. Rejects with `AdminError`, and with `MetadataError` if nothing is repaired any more. */
export async function fsck(
  config: Config,
  options: FsckOptions,
  stream: ProgressStream = process.stderr,
): Promise<FsckResult> {
  const progress = createProgress(stream)
  try {
    if (options.repairWait) await waitForRepair(config, options.waitSeconds, progress)
    const report = await runCheck(config, options.deep, { progress, stream })
    progress.end()
    // ● A check that has not come to its end is no evidence on which anything may be deleted.
    if (options.accept && report.state === 'done') await acceptRestore(config)
    return { text: options.json ? formatJson(report) : describeCheck(report), clean: isClean(report) }
  } finally {
    progress.end()
  }
}

/** All counts of trouble are 0, and the check has come to its end. */
function isClean(report: CheckReport): boolean {
  const { underReplicated, corrupt, orphaned, dangling, state } = report
  return state === 'done' && underReplicated + corrupt + orphaned + dangling === 0
}

/** Where a person sees what goes on. */
interface Screen {
  readonly progress: Progress
  readonly stream: ProgressStream
}

/** A signal ends the check, which otherwise goes on in the cluster; a second one ends the command at once. */
async function runCheck(config: Config, deep: boolean, screen: Screen): Promise<CheckReport> {
  const check = await startCheck(config, deep, screen)
  const cancel = (): void => {
    // Whatever is wrong with the server, the next look tells it.
    askAdmin(config, 'DELETE', `check?check=${check}`).catch(() => undefined)
  }
  for (const signal of SIGNALS) process.once(signal, cancel)
  try {
    return await followCheck(config, check, screen.progress)
  } finally {
    for (const signal of SIGNALS) process.off(signal, cancel)
  }
}

async function followCheck(config: Config, check: string, progress: Progress): Promise<CheckReport> {
  for (let last = { ...NOTHING_SEEN, check }; ; ) {
    const report = (await findCheck(config, check)) ?? {
      ...last,
      state: 'failed',
      error: 'the service that ran it has ended, or knows it no more',
    }
    if (report.state !== 'running') return report
    last = report
    progress.show(`fsck: ${report.phase}`, report.done, report.total)
    await sleep(POLL_MS)
  }
}

/** `undefined` if nobody knows it: its service was started again, or another has taken over. */
async function findCheck(config: Config, check: string): Promise<CheckReport | undefined> {
  try {
    return await askAdmin<CheckReport>(config, 'GET', `check?check=${encodeURIComponent(check)}`)
  } catch (error) {
    if (error instanceof AdminError && error.status === 404) return undefined
    throw error
  }
}

/** Waits for the end of a check that somebody else has started, and says so. */
async function startCheck(config: Config, deep: boolean, { progress, stream }: Screen): Promise<string> {
  for (let told: string | undefined; ; ) {
    const { check, isOurs } = await tryStart(config, deep)
    if (isOurs) return check
    if (check !== told) stream.write(`another check runs already, ${check}: waiting for its end\n`)
    told = check
    const other = await findCheck(config, check)
    if (other !== undefined) progress.show(`fsck: another check, ${other.phase}`, other.done, other.total)
    await sleep(POLL_MS)
  }
}

/** The check that was started, or the one that stands in its way. */
async function tryStart(config: Config, deep: boolean): Promise<{ check: string; isOurs: boolean }> {
  try {
    const { check } = await askAdmin<{ check: string }>(config, 'POST', `check?deep=${deep}`)
    return { check, isOurs: true }
  } catch (error) {
    if (!(error instanceof AdminError) || error.status !== 409) throw error
    return { check: String(error.details.check), isOurs: false }
  }
}

async function waitForRepair(config: Config, waitSeconds: number, progress: Progress): Promise<void> {
  const until = performance.now() + waitSeconds * 1000
  let quiet = 0
  while (quiet < 2) {
    const status = await askAdmin<ClusterStatus>(config, 'GET', 'status')
    assertStoreWrites(status)
    quiet = isQuiet(status) ? quiet + 1 : 0
    if (performance.now() > until) return
    const { underReplicated, dirtyGroups, blocksCompared, blocksToCompare } = status.repair
    progress.show(
      `repair: ${underReplicated} blocks, ${dirtyGroups} groups to go`,
      blocksCompared,
      blocksToCompare,
    )
    if (quiet < 2) await sleep(REPAIR_POLL_MS)
  }
}

function isQuiet({ safeMode, repair }: ClusterStatus): boolean {
  return !safeMode && !repair.comparing && repair.underReplicated === 0 && repair.dirtyGroups === 0
}

async function acceptRestore(config: Config): Promise<void> {
  const { incarnation } = await askAdmin<ClusterStatus>(config, 'GET', 'status')
  await askAdmin(config, 'POST', `restore/accept?incarnation=${encodeURIComponent(incarnation)}`)
}

function formatJson(report: CheckReport): string {
  const { blocks, underReplicated, corrupt, orphaned, dangling, pending, findings, state, error } = report
  const trouble = state === 'done' ? {} : { state, error }
  return JSON.stringify(
    { blocks, underReplicated, corrupt, orphaned, dangling, pending, findings, ...trouble },
    null,
    2,
  )
}

/** The counts in a few lines, and the first findings. */
function describeCheck(report: CheckReport): string {
  const { blocks, underReplicated, corrupt, orphaned, dangling, pending, findings, state, error } = report
  const rest = findings.length - FINDINGS_SHOWN
  return [
    ...(state === 'done' ? [] : [`the check has ${state}${error === undefined ? '' : `: ${error}`}`]),
    `${blocks} blocks: ${underReplicated} under-replicated, ${corrupt} corrupt, ${orphaned} orphaned, ${dangling} dangling`,
    `${pending} wait for their grace or their writer`,
    ...findings.slice(0, FINDINGS_SHOWN).map(describeFinding),
    ...(rest > 0 ? [`and ${rest} findings more: see --json`] : []),
    isClean(report) ? 'clean' : 'not clean',
  ].join('\n')
}

function describeFinding({ kind, bucket, key, message }: CheckFinding): string {
  const place = key === undefined ? '' : ` (${bucket ?? '?'}/${key})`
  return `  ${kind}: ${message}${place}`
}
