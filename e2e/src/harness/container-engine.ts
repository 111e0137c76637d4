/**
 * A container engine of our own for one run, and stand-ins for the base images where none can be pulled: Debian from
 * this machine's package sources, Node from the npm registry on top of it, Debian's etcd and Prometheus under the
 * names that compose.yaml uses. Root on Debian, with docker.io, iptables, mmdebstrap and docker-compose.
 */
import { spawn } from 'node:child_process'
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NPM_FOLDER, nodeOfMajor } from './node-release.js'
import { run, runOk } from './run.js'

/** What must be installed. */
export const CONTAINER_PACKAGES =
  'docker.io iptables mmdebstrap docker-compose etcd-server etcd-client prometheus'

const START_MS = 30_000
const BASE_IMAGE = 'debian:bookworm-slim'
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'

export interface ContainerEngine {
  /** For `docker` and `docker-compose`. */
  readonly env: Readonly<Record<string, string>>
  docker(...args: string[]): Promise<string>
  close(): Promise<void>
}

/** Starts the engine with all its state below `folder`, which must lie on a real disk. */
export async function startContainerEngine(folder: string): Promise<ContainerEngine> {
  const socket = `unix://${join(folder, 'engine.sock')}`
  const state = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')]
  const files = ['--pidfile', join(folder, 'engine.pid'), '--host', socket]
  const drivers = ['--storage-driver', 'overlay2', '--exec-opt', 'native.cgroupdriver=cgroupfs']
  const engine = spawn('dockerd', [...state, ...files, ...drivers], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => {
    engine.once('exit', () => resolve())
    engine.once('error', () => resolve())
  })
  const env = { DOCKER_HOST: socket }
  const docker = async (...args: string[]): Promise<string> =>
    (await runOk('docker', args, { env, timeoutMs: 1_800_000 })).stdout.toString().trim()
  const untilMs = performance.now() + START_MS
  while ((await run('docker', ['info'], { env })).status !== 0) {
    if (performance.now() > untilMs) throw new Error('the container engine does not start')
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return {
    env,
    docker,
    close: async () => {
      engine.kill('SIGTERM')
      await ended
    },
  }
}

/** Makes the images, under the names that they have in the Dockerfile (`node:<major>…`) and in compose.yaml. */
export async function makeBaseImages(
  engine: ContainerEngine,
  folder: string,
  names: { readonly node: string; readonly etcd: string; readonly prometheus: string },
): Promise<void> {
  const archive = join(folder, 'base.tar')
  await makeDebian(archive)
  await engine.docker('import', archive, BASE_IMAGE)
  const major = /:(\d+)/.exec(names.node)?.[1] ?? ''
  const node = await nodeOfMajor(major, join(folder, 'node-release'))
  await engine.docker('build', '--tag', names.node, await nodeContext(node, join(folder, 'node')))
  await engine.docker('build', '--tag', names.etcd, await etcdContext(join(folder, 'etcd')))
  await engine.docker('build', '--tag', names.prometheus, await prometheusContext(join(folder, 'prometheus')))
}

/** By the package sources and rules of this machine. */
async function makeDebian(archive: string): Promise<void> {
  const rules = (await runOk('apt-config', ['dump'])).stdout.toString().match(/^Acquire::.*$/gm) ?? []
  const sources = await aptSources()
  const options = rules.map((rule) => `--aptopt=${rule}`)
  const packages = '--include=ca-certificates,libstdc++6,libatomic1'
  await runOk('mmdebstrap', ['--variant=minbase', packages, ...options, 'bookworm', archive, ...sources])
}

async function aptSources(): Promise<string[]> {
  const folder = '/etc/apt/sources.list.d'
  const names = await readdir(folder).catch(() => [] as string[])
  return names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(folder, name))
}

/** Node with npm and headers where the official image has them, and who this machine trusts. */
async function nodeContext(release: string, folder: string): Promise<string> {
  const root = join(folder, 'usr', 'local')
  await mkdir(join(root, 'bin'), { recursive: true })
  await mkdir(join(root, 'lib', 'node_modules'), { recursive: true })
  await cp(join(release, 'bin', 'node'), join(root, 'bin', 'node'), { dereference: true })
  await cp(join(release, 'include', 'node'), join(root, 'include', 'node'), { recursive: true })
  await cp(NPM_FOLDER, join(root, 'lib', 'node_modules', 'npm'), { recursive: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'bin', 'npm'))
  await mkdir(join(folder, 'certificates'), { recursive: true })
  await cp(CA_BUNDLE, join(folder, 'certificates', 'ca-certificates.crt'), { dereference: true })
  const lines = [
    `FROM ${BASE_IMAGE}`,
    'COPY usr /usr',
    `COPY certificates/ca-certificates.crt ${CA_BUNDLE}`,
    `ENV NODE_EXTRA_CA_CERTS=${CA_BUNDLE}`,
  ]
  await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
  return folder
}

function etcdContext(folder: string): Promise<string> {
  return binariesContext(folder, ['etcd', 'etcdctl'], ['CMD ["etcd"]'])
}

/** With the user, the folder and the entry of the image that it stands for. */
function prometheusContext(folder: string): Promise<string> {
  const lines = [
    'RUN mkdir /prometheus && chown nobody:nogroup /prometheus && chmod 775 /prometheus',
    'USER nobody',
    'VOLUME /prometheus',
    'ENTRYPOINT ["prometheus"]',
  ]
  return binariesContext(folder, ['prometheus', 'promtool'], lines)
}

/** Debian's binaries of these names on the base image, and what follows. */
async function binariesContext(
  folder: string,
  names: readonly string[],
  lines: readonly string[],
): Promise<string> {
  await mkdir(folder, { recursive: true })
  for (const name of names) {
    await cp(join('/usr/bin', name), join(folder, name), { dereference: true })
    await chmod(join(folder, name), 0o755)
  }
  const all = [`FROM ${BASE_IMAGE}`, `COPY ${names.join(' ')} /usr/local/bin/`, ...lines]
  await writeFile(join(folder, 'Dockerfile'), `${all.join('\n')}\n`)
  return folder
}
