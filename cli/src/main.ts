/**
 * The `cairn` command. Each command is loaded when it is called: `cairn health` runs every few seconds in every
 * container, and must not load a server for that.
 */
import { ConfigError, readConfig } from './config.js'
import { EXIT_STATUS } from './exit-statuses.js'

const TIMEOUT_SECONDS = 60
/** Longest pause of a timer of Node.js. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** Longest wait of `cairn fsck --repair-wait`. */
const REPAIR_WAIT_SECONDS = 3600

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Resolves once all that was written has gone out, or nobody reads it: an exit waits for nothing in a pipe. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('error', () => resolve())
    stream.write('', () => resolve())
  })
}

/** Takes a switch out of the arguments; true if it was there. */
function takeSwitch(argv: string[], name: string): boolean {
  const at = argv.indexOf(name)
  if (at >= 0) argv.splice(at, 1)
  return at >= 0
}

function takeSeconds(argv: string[], name: string, fallback: number): number {
  const at = argv.indexOf(name)
  if (at < 0) return fallback
  const [, text = ''] = argv.splice(at, 2)
  if (!/^\d+$/.test(text))
    throw new ConfigError([`${name}: must be a whole number of seconds, not "${text}"`])
  return Number(text)
}

async function run(command: string, argv: string[]): Promise<number> {
  // biome-ignore lint/style/noProcessEnv: the one place where the environment enters; config.ts reads it.
  const read = (checkFiles = false) => readConfig({ argv, env: process.env, checkFiles })
  switch (command) {
    case 'start': {
      const { start } = await import('./commands/start.js')
      const { config, warnings } = read(true)
      await start(config, warnings, say)
      return EXIT_STATUS.ok
    }
    case 'env': {
      const { env } = await import('./commands/env.js')
      say(env(read().config))
      return EXIT_STATUS.ok
    }
    case 'wait': {
      const { waitHealthy } = await import('./commands/wait.js')
      takeSwitch(argv, '--healthy')
      const seconds = takeSeconds(argv, '--timeout', TIMEOUT_SECONDS)
      return (await waitHealthy(read().config, seconds)) ? EXIT_STATUS.ok : EXIT_STATUS.configuration
    }
    case 'health': {
      const { isHealthy } = await import('./commands/wait.js')
      return (await isHealthy(read().config)) ? EXIT_STATUS.ok : EXIT_STATUS.configuration
    }
    case 'status': {
      const { status } = await import('./commands/status.js')
      const json = takeSwitch(argv, '--json')
      say(await status(read().config, { json }))
      return EXIT_STATUS.ok
    }
    case 'fsck':
      return runFsck(argv, read)
    case 'node':
    case 'drive':
    case 'rebalance':
      return runMove(command, argv, read)
    case 'cluster':
      return runCluster(argv, read)
    case 'metadata': {
      const { metadata } = await import('./commands/metadata.js')
      const yes = takeSwitch(argv, '--yes')
      const [toEtcd, resume, undo, json] = ['--to-etcd', '--resume', '--undo', '--json'].map((name) =>
        takeSwitch(argv, name),
      ) as [boolean, boolean, boolean, boolean]
      const action = argv.shift() ?? ''
      const file = action === 'backup' || action === 'restore' ? argv.shift() : undefined
      return metadata(read().config, { action, file, yes, toEtcd, resume, undo, json }, say).then(
        () => EXIT_STATUS.ok,
      )
    }
    case 'reset': {
      const { requireYes, reset } = await import('./commands/reset.js')
      const isConfirmed = takeSwitch(argv, '--yes')
      const { config } = read()
      requireYes(isConfirmed, config)
      for (const folder of reset(config)) say(`removed ${folder}`)
      return EXIT_STATUS.ok
    }
    case 'help':
    case '--help': {
      const { help } = await import('./commands/help.js')
      say(help())
      return EXIT_STATUS.ok
    }
    default:
      throw new ConfigError([`unknown command "${command}"; see cairn help`])
  }
}

/** Takes what stands before the first flag. */
function takeWords(argv: string[]): string[] {
  const end = argv.findIndex((word) => word.startsWith('-'))
  return argv.splice(0, end < 0 ? argv.length : end)
}

async function runCluster(argv: string[], read: () => ReturnType<typeof readConfig>): Promise<number> {
  const options = { json: takeSwitch(argv, '--json'), raise: takeSwitch(argv, '--raise') }
  const words = takeWords(argv)
  const { cluster } = await import('./commands/cluster.js')
  say(await cluster(read().config, words, options))
  return EXIT_STATUS.ok
}

async function runFsck(argv: string[], read: () => ReturnType<typeof readConfig>): Promise<number> {
  const options = {
    deep: takeSwitch(argv, '--deep'),
    json: takeSwitch(argv, '--json'),
    accept: takeSwitch(argv, '--accept'),
    repairWait: takeSwitch(argv, '--repair-wait'),
    waitSeconds: takeSeconds(argv, '--timeout', REPAIR_WAIT_SECONDS),
  }
  const { fsck } = await import('./commands/fsck.js')
  const { text, clean } = await fsck(read().config, options)
  say(text)
  return clean ? EXIT_STATUS.ok : EXIT_STATUS.notClean
}

/** Longest wait of a command that waits until nothing moves any more. */
const MOVE_WAIT_SECONDS = 86_400

async function runMove(
  command: 'node' | 'drive' | 'rebalance',
  argv: string[],
  read: () => ReturnType<typeof readConfig>,
): Promise<number> {
  const options = {
    json: takeSwitch(argv, '--json'),
    force: takeSwitch(argv, '--force'),
    wait: takeSwitch(argv, '--wait'),
    waitSeconds: takeSeconds(argv, '--timeout', MOVE_WAIT_SECONDS),
  }
  const words = takeWords(argv)
  const moves = await import('./commands/drive.js')
  const { text, done } = await moves[command](read().config, words, options)
  say(text)
  return done ? EXIT_STATUS.ok : EXIT_STATUS.notClean
}

const [command = 'help', ...argv] = process.argv.slice(2)
// Databases, locks and segments are nobody else's, also in folders that others made, and whichever command made them.
process.umask(0o077)
// Timers hold no process, so that a library does not: without this, a command that waits for nothing but one would end
// with status 13, such as a gateway that closes its session when no metadata service is left.
setInterval(() => undefined, TIMER_MS_MAX)
try {
  process.exitCode = await run(command, argv)
} catch (error) {
  const { wordsOf, exitStatusOf } = await import('./exit-status.js')
  process.exitCode = exitStatusOf(error)
  process.stderr.write(`${wordsOf(error)}\n`)
}
await Promise.all([process.stdout, process.stderr].map(flush))
process.exit()
