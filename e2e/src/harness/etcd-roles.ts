/** Roles apart on an etcd that is there already, over drives that are there already. */
import { join } from 'node:path'
import { type Server, startServer } from './server.js'

export interface EtcdRolesOptions {
  /** For the data folders of the roles. */
  readonly folder: string
  /** One chunk server for each. */
  readonly drives: readonly string[]
  /** CAIRN_ETCD, the prefix, the cluster secret, the root keys. */
  readonly env: Readonly<Record<string, string>>
}

export interface EtcdRoles {
  readonly gateway: Server
  /** SIGTERM to all; their exit statuses. */
  stop(): Promise<readonly (number | null)[]>
}

const READY = /^Health: .*$/m

/** One metadata service, a chunk server for each drive, one gateway: they find each other through etcd. */
export async function startEtcdRoles({ folder, drives, env }: EtcdRolesOptions): Promise<EtcdRoles> {
  const running: Server[] = []
  const start = async (role: string, name: string, more: Record<string, string>): Promise<Server> => {
    const ports = role === 'gateway' ? {} : { CAIRN_RPC_PORT: '0', CAIRN_HTTP_PORT: '0' }
    const server = await startServer({
      dataDir: join(folder, name),
      args: ['--role', role],
      env: { ...env, ...ports, ...more },
      ...(role === 'gateway' ? {} : { readyLine: READY }),
    })
    running.unshift(server)
    return server
  }
  const stop = (): Promise<(number | null)[]> => Promise.all(running.map((server) => server.stop()))
  try {
    await start('metadata', 'metadata', {})
    for (const [at, drive] of drives.entries()) {
      await start('chunk', `chunk-${at + 1}`, { CAIRN_DRIVES: drive })
    }
    return { gateway: await start('gateway', 'gateway', {}), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
