/** Real server processes, started the way a user starts them, on ports and folders of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The command as it stands in the checkout. */
export const CAIRN: string = fileURLToPath(new URL('../../../../cli/bin/cairn.js', import.meta.url))

/** Those of the command's first line, for the Node.js that runs us. */
function nodeFlagsOf(command: string): string[] {
  return /^#!.* node (.*)$/m.exec(readFileSync(command, 'utf8'))?.[1]?.split(' ') ?? []
}

/** Far more than a start takes, since others may share the machine. */
const READY_TIMEOUT_MS = 180_000

export interface StartOptions {
  readonly dataDir: string
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** Of another build; `CAIRN` unless given. */
  readonly cairn?: string
  /** What the process prints when it is ready; the S3 endpoint unless given. */
  readonly readyLine?: RegExp
  /** Runs the server under this command, for example strace. */
  readonly wrapper?: readonly string[]
  readonly readyTimeoutMs?: number
  /** SIGKILL so long after the spawn, ready or not; `startServer` rejects if it was not. */
  readonly killAfterMs?: number
}

export interface Server {
  readonly pid: number
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly dataDir: string
  /** Milliseconds from spawn to the ready line. */
  readonly readyMs: number
  /** Variables for AWS tools. */
  readonly awsEnv: Readonly<Record<string, string>>
  readonly exited: Promise<number | null>
  signal(name: NodeJS.Signals): void
  /** SIGTERM, then waits for the end; the exit status. */
  stop(): Promise<number | null>
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>
  /** Starts one that has ended again as it was started, at the same endpoint; `env` is added to its settings. */
  again(env?: Readonly<Record<string, string>>): Promise<Server>
  log(): string
  /** What it printed on stdout so far. */
  output(): string
}

/** It neither came up nor ended. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError'
}

/** Starts `cairn start` and waits until it says that it is ready; `NotReadyError` if it does not in time. */
export async function startServer(options: StartOptions): Promise<Server> {
  const started = performance.now()
  const { cairn = CAIRN, wrapper = [], args = [] } = options
  const command = [...wrapper, process.execPath, ...nodeFlagsOf(cairn), cairn, 'start', ...args]
  const child = spawn(command[0] as string, command.slice(1), {
    env: {
      ...process.env,
      CAIRN_DATA_DIR: options.dataDir,
      CAIRN_PORT: '0',
      CAIRN_LOG_LEVEL: 'warn',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr = (output.stderr + chunk.toString()).slice(-200_000)
  })
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve))
  if (options.killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), options.killAfterMs)
  await waitForLine(child, output, exited, options)
  const readyMs = performance.now() - started
  return describeServer(child, output, { exited, readyMs, options })
}

async function waitForLine(
  child: ChildProcess,
  output: { stdout: string; stderr: string },
  exited: Promise<number | null>,
  options: StartOptions,
): Promise<void> {
  const line = options.readyLine ?? /^S3 endpoint: .*$/m
  const until = performance.now() + (options.readyTimeoutMs ?? READY_TIMEOUT_MS)
  let ended: number | null | undefined
  void exited.then((status) => {
    ended = status
  })
  while (!line.test(output.stdout)) {
    if (ended !== undefined)
      throw new Error(`the server exited ${ended} before it was ready:\n${output.stderr}`)
    if (performance.now() > until) {
      child.kill('SIGKILL')
      await exited
      throw new NotReadyError(`the server was not ready in time:\n${output.stdout}\n${output.stderr}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

interface Facts {
  readonly exited: Promise<number | null>
  readonly readyMs: number
  readonly options: StartOptions
}

function describeServer(
  child: ChildProcess,
  output: { stdout: string; stderr: string },
  facts: Facts,
): Server {
  const { dataDir, env } = facts.options
  const endpoint = /^S3 endpoint: (.*)$/m.exec(output.stdout)?.[1] ?? ''
  const accessKey = /^Access key: (.*)$/m.exec(output.stdout)?.[1] ?? ''
  const secretKey = env?.CAIRN_ROOT_SECRET_KEY ?? readSecret(dataDir)
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    child.kill(signal)
    return facts.exited
  }
  return {
    pid: child.pid ?? 0,
    endpoint,
    accessKey,
    secretKey,
    dataDir,
    readyMs: facts.readyMs,
    awsEnv: {
      AWS_ACCESS_KEY_ID: accessKey,
      AWS_SECRET_ACCESS_KEY: secretKey,
      AWS_DEFAULT_REGION: env?.CAIRN_REGION ?? 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    exited: facts.exited,
    signal: (name) => void child.kill(name),
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
    again: (more = {}) => startServer({ ...facts.options, env: { ...env, ...portOf(endpoint), ...more } }),
    log: () => output.stderr,
    output: () => output.stdout,
  }
}

/** The setting that brings a server back to its endpoint; none for roles without one. */
function portOf(endpoint: string): Record<string, string> {
  return endpoint === '' ? {} : { CAIRN_PORT: new URL(endpoint).port }
}

function readSecret(dataDir: string): string {
  try {
    return (JSON.parse(readFileSync(join(dataDir, 'root.json'), 'utf8')) as { secretKey: string }).secretKey
  } catch {
    // A role without credentials of its own (metadata, chunk) has no such file.
    return ''
  }
}

/** Proportional set size of processes, in bytes: memory shared by several counts once in the sum. */
export async function pssBytes(...pids: readonly number[]): Promise<number> {
  let total = 0
  for (const pid of pids) {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
    total += Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024
  }
  return total
}

/** User and system CPU time of a process so far, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** All samples of the metrics page: `name{labels}` to value. */
export async function readMetrics(server: Pick<Server, 'endpoint'>): Promise<Map<string, number>> {
  const response = await fetch(`${server.endpoint}/-/metrics`)
  const samples = new Map<string, number>()
  for (const line of (await response.text()).split('\n')) {
    const match = /^([a-zA-Z_:][^ ]*(?:\{.*\})?) (\S+)$/.exec(line)
    if (match?.[1] !== undefined && !line.startsWith('#')) samples.set(match[1], Number(match[2]))
  }
  return samples
}
