/** Outside tools the tests drive: found on PATH, or installed as root on Debian, or named as missing. */
import { run, runOk } from './run.js'

/** Commands and the Debian packages that hold them. */
const PACKAGES: Readonly<Record<string, string>> = {
  aws: 'awscli',
  s3cmd: 's3cmd',
  rclone: 'rclone',
  restic: 'restic',
  openssl: 'openssl',
  strace: 'strace',
  curl: 'curl',
  chromium: 'chromium',
  gcc: 'gcc libc6-dev',
  setpriv: 'util-linux',
  losetup: 'mount',
  ip: 'iproute2',
  nft: 'nftables',
  'mkfs.ext4': 'e2fsprogs',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
}

export type Tool = keyof typeof PACKAGES

/** True if the command is on PATH and runs. */
export async function hasTool(tool: string): Promise<boolean> {
  const found = await run('sh', ['-c', 'command -v "$1"', 'sh', tool])
  return found.status === 0
}

/**
 * Installs what is missing where that is possible, and says so.
 * @returns the tools that are still missing
 */
export async function ensureTools(say: (line: string) => void): Promise<string[]> {
  const missing: string[] = []
  for (const tool of Object.keys(PACKAGES)) if (!(await hasTool(tool))) missing.push(tool)
  if (missing.length === 0) return []
  if (process.getuid?.() !== 0 || !(await hasTool('apt-get'))) return missing
  const packages = missing.flatMap((tool) => (PACKAGES[tool] ?? tool).split(' '))
  say(`installing what the tests need: ${packages.join(' ')}`)
  await runOk('apt-get', ['update', '-qq'])
  await runOk('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  })
  const still: string[] = []
  for (const tool of missing) if (!(await hasTool(tool))) still.push(tool)
  return still
}
