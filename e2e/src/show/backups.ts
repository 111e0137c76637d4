/** Backup tools on a real tree, over HTTP and HTTPS: restic in full, and rclone with old versions. */
import { appendFile, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAuthority } from '../harness/certificates.js'
import { compareTrees, hashTree, removeFolder, temporaryFolder } from '../harness/folders.js'
import { rcloneEnv } from '../harness/rclone.js'
import { makeTree } from '../harness/real-tree.js'
import { startRoles } from '../harness/roles.js'
import { run, runOk } from '../harness/run.js'
import type { Server } from '../harness/server.js'
import type { Report } from './report.js'

const FILES = 3000
/** Old versions are told apart by time, in whole seconds. */
const TICK_MS = 2100

interface World {
  readonly report: Report
  readonly folder: string
  readonly server: Server
  readonly scheme: string
  /** PEM of the authority that clients are to trust. */
  readonly caFile: string
}

export interface BackupOptions {
  /** At least so many files in the tree. */
  readonly files?: number
  readonly schemes?: readonly ('http' | 'https')[]
}

/** `npm run show -- backups`; a smaller tree, over HTTPS alone, for the sample in `npm test`. */
export async function showBackups(
  report: Report,
  { files = FILES, schemes = ['http', 'https'] }: BackupOptions = {},
): Promise<void> {
  const folder = await temporaryFolder('backups')
  const { caFile, issue } = await makeAuthority(folder)
  const { certFile, keyFile } = await issue('server')
  const tls = { CAIRN_TLS_CERT: certFile, CAIRN_TLS_KEY: keyFile }
  try {
    for (const scheme of schemes) {
      const env = scheme === 'https' ? tls : {}
      const settings = { CAIRN_GC_GRACE_SECONDS: '1', ...env }
      const roles = await startRoles({ folder: join(folder, `data-${scheme}`), env: settings })
      const { server } = roles
      report.holds(`the endpoint is ${scheme}`, server.endpoint.startsWith(`${scheme}://`), server.endpoint)
      const world: World = { report, folder, server, scheme, caFile }
      try {
        await restic(world, files)
        await rcloneVersions(world, files)
      } finally {
        await roles.stop()
      }
    }
  } finally {
    await removeFolder(folder)
  }
}

async function restic({ report, folder, server, scheme, caFile }: World, files: number): Promise<void> {
  const tree = join(folder, `restic-${scheme}`)
  const env = {
    ...server.awsEnv,
    RESTIC_REPOSITORY: `s3:${server.endpoint}/restic`,
    RESTIC_PASSWORD: 'a tree of stones',
    RESTIC_CACHE_DIR: join(folder, `cache-${scheme}`),
  }
  const restic = (...args: string[]): Promise<unknown> =>
    runOk('restic', [...args, '--quiet', '--cacert', caFile], { env, cwd: folder })
  report.step((await run('restic', ['version'])).stdout.toString().trim())
  await makeTree(tree, files)
  await restic('init')
  await restic('backup', tree)
  await changeTree(tree)
  const expected = await hashTree(tree)
  await restic('backup', tree)
  await restic('check', '--read-data')
  await restic('forget', '--keep-last', '1', '--prune')
  await restic('check', '--read-data')
  const down = join(folder, `restored-${scheme}`)
  await restic('restore', 'latest', '--target', down)
  const differences = compareTrees(expected, await hashTree(join(down, tree)))
  for (const difference of differences.slice(0, 10)) report.step(difference)
  report.holds(
    `restic over ${scheme}: init, backup twice, check, prune, restore of ${expected.size} files`,
    differences.length === 0,
    `${differences.length} differences`,
  )
}

/** Some files longer, some gone, some new. */
async function changeTree(tree: string): Promise<void> {
  const names = (await readdir(tree, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  )
  for (const [index, entry] of names.entries()) {
    const path = join(entry.parentPath, entry.name)
    if (index % 7 === 0) await appendFile(path, `changed ${index}`)
    if (index % 31 === 0) await rm(path)
  }
  await mkdir(join(tree, 'new'))
  await appendFile(join(tree, 'new', 'file with a space'), 'new')
}

async function rcloneVersions(world: World, files: number): Promise<void> {
  const { report, folder, server, scheme, caFile } = world
  const tree = join(folder, `rclone-${scheme}`)
  const env = rcloneEnv(server, caFile)
  const rclone = async (...args: string[]): Promise<string> =>
    (await runOk('rclone', args, { env })).stdout.toString()
  report.step((await run('rclone', ['--version'])).stdout.toString().split('\n')[0] ?? '')
  await makeTree(tree, Math.ceil(files / 3))
  const first = await hashTree(tree)
  await rclone('mkdir', 'cairn:rclone')
  await rclone('backend', 'versioning', 'cairn:rclone', 'Enabled')
  await rclone('copy', '--transfers', '8', tree, 'cairn:rclone')
  await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  const between = new Date().toISOString().slice(0, 19).replace('T', ' ')
  await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  await changeTree(tree)
  const second = await hashTree(tree)
  await rclone('sync', '--transfers', '8', tree, 'cairn:rclone')
  expectTree(world, 'the current versions', second, await fetchTree(world, rclone, []))
  expectTree(
    world,
    'the versions before',
    first,
    await fetchTree(world, rclone, ['--s3-version-at', between]),
  )
  const all = (await rclone('lsf', '-R', '--files-only', '--s3-versions', 'cairn:rclone'))
    .trim()
    .split('\n').length
  const changed = [...first].filter(([path, hash]) => second.get(path) !== hash).length
  report.holds(
    `rclone over ${scheme}: every old version is listed`,
    all === second.size + changed,
    `${all} listed, ${second.size} current, ${changed} changed or removed`,
  )
}

type Rclone = (...args: string[]) => Promise<string>

let fetched = 0

async function fetchTree(
  { folder }: World,
  rclone: Rclone,
  args: readonly string[],
): Promise<Map<string, string>> {
  const down = join(folder, `fetched-${fetched++}`)
  await rclone('copy', '--transfers', '8', ...args, 'cairn:rclone', down)
  return hashTree(down)
}

function expectTree(
  { report, scheme }: World,
  what: string,
  expected: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): void {
  const differences = compareTrees(expected, found)
  for (const difference of differences.slice(0, 10)) report.step(difference)
  report.holds(
    `rclone over ${scheme}: ${what}`,
    differences.length === 0,
    `${differences.length} differences`,
  )
}
