/** Builds of earlier commits of this repository, each in a folder of its own; the checkout stays as it is. */
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, runOk } from './run.js'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const MODULES = 'node_modules'
/** The packages of the workspace: links to their folders beside `node_modules`. */
const OWN_SCOPE = '@cairn'

/** Why there is no history to build from; undefined if there is one. */
export async function findNoHistory(): Promise<string | undefined> {
  const found = await run('git', ['rev-parse', '--git-dir'], { cwd: ROOT }).catch(() => undefined)
  if (found === undefined) return 'git is not installed'
  return found.status === 0 ? undefined : 'this is no git checkout, so there is no earlier version to build'
}

/** The newest commit before the one in which lines of a file that match this were changed last. */
export async function commitBefore(pattern: string, path: string): Promise<string> {
  const changed = await git('log', '-1', '--format=%H', `-G${pattern}`, '--', path)
  return git('rev-parse', '--verify', `${changed}^`).catch((cause: unknown) => {
    throw new Error(`no commit before the last change of ${path}: is this a shallow clone?`, { cause })
  })
}

/** `1a2b3c4 (0.1.0)`. */
export async function describeCommit(commit: string): Promise<string> {
  const { version } = JSON.parse(await git('show', `${commit}:package.json`)) as { version: string }
  return `${await git('rev-parse', '--short', commit)} (${version})`
}

/** Builds a commit in this folder; the path of its command. */
export async function buildCommit(commit: string, folder: string): Promise<string> {
  const archive = join(folder, 'source.tar')
  await git('archive', '--output', archive, commit)
  await runOk('tar', ['-xf', archive, '-C', folder])
  if ((await lockedPackages(ROOT)) === (await lockedPackages(folder))) await shareModules(folder)
  else await runOk('npm', ['ci'], { cwd: folder })
  await runOk(join(folder, MODULES, '.bin', 'tsc'), ['-b', 'cli'], { cwd: folder })
  return join(folder, 'cli', 'bin', 'cairn.js')
}

async function git(...args: readonly string[]): Promise<string> {
  return (await runOk('git', args, { cwd: ROOT })).stdout.toString().trim()
}

/** What `npm ci` would install from registries. */
async function lockedPackages(folder: string): Promise<string> {
  const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { link?: boolean }>
  }
  const installed = Object.entries(lock.packages).filter(
    ([path, { link }]) => path.startsWith(MODULES) && link !== true,
  )
  return JSON.stringify(installed)
}

/** Links to what is installed here, but not to our own packages: theirs are those of the folder. */
async function shareModules(folder: string): Promise<void> {
  const [from, to] = [join(ROOT, MODULES), join(folder, MODULES)]
  await mkdir(to)
  for (const name of await readdir(from)) {
    if (name !== OWN_SCOPE) await symlink(join(from, name), join(to, name))
  }
  await cp(join(from, OWN_SCOPE), join(to, OWN_SCOPE), { recursive: true, verbatimSymlinks: true })
}
