/** Runs black-box tools and keeps what they said. */
import { spawn } from 'node:child_process'

export interface RunOptions {
  /** Added to this process's environment; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  readonly input?: Uint8Array
  /** The tool is killed after this; 10 minutes unless given. */
  readonly timeoutMs?: number
}

export interface RunResult {
  /** Exit status, or 128 + signal number as shells have it. */
  readonly status: number
  readonly stdout: Buffer
  readonly stderr: string
  readonly seconds: number
}

const TIMEOUT_MS = 600_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** Runs to the end, whatever the status. Rejects only if the tool cannot be started or is killed by the time limit. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? TIMEOUT_MS)
    const stdout: Buffer[] = []
    let stdoutBytes = 0
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdoutBytes += chunk.length
      if (stdoutBytes <= OUTPUT_BYTES_MAX) stdout.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-20_000)
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const seconds = (performance.now() - started) / 1000
      resolve({
        status: code ?? (signal === 'SIGKILL' ? 137 : 143),
        stdout: Buffer.concat(stdout),
        stderr,
        seconds,
      })
    })
  })
}

/** Runs and rejects, with what the tool said, unless it exits 0. */
export async function runOk(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const result = await run(command, args, options)
  if (result.status !== 0) {
    const said = `${result.stderr}\n${result.stdout.toString().slice(-2000)}`.trim()
    throw new Error(`${command} ${args.join(' ')} exited ${result.status}: ${said}`)
  }
  return result
}
