/**
 * One running system for a suite: all roles in one process; with CAIRN_E2E_ROLES=apart one process for each role over
 * TCP; with CAIRN_E2E_ROLES=cluster the same with two metadata services on etcd. Wire behaviour is what is examined, so
 * nothing waits for the disk.
 */
import { join } from 'node:path'
import type { S3Client } from '@aws-sdk/client-s3'
import { startCluster } from '../../../src/harness/cluster.js'
import { startEtcd } from '../../../src/harness/etcd.js'
import { removeFolder, temporaryFolder } from '../../../src/harness/folders.js'
import { connectS3 } from '../../../src/harness/s3.js'
import { type Server, startServer } from '../../../src/harness/server.js'

export interface World {
  readonly server: Server
  /** Path style, one attempt for each request. */
  readonly s3: S3Client
  readonly folder: string
  stop(): Promise<void>
}

/** Time for a `before` hook that starts a world. */
export const START_TIMEOUT_MS = 120_000

export async function startWorld(label: string, env: Readonly<Record<string, string>> = {}): Promise<World> {
  const folder = await temporaryFolder(label)
  const { server, stop } = await startRoles(folder, { CAIRN_DURABILITY: 'none', ...env })
  const s3 = connectS3(server)
  return {
    server,
    s3,
    folder,
    async stop() {
      s3.destroy()
      await stop()
      await removeFolder(folder)
    },
  }
}

type Env = Readonly<Record<string, string>>

interface Roles {
  readonly server: Server
  stop(): Promise<unknown>
}

async function startRoles(folder: string, env: Env): Promise<Roles> {
  const roles = process.env.CAIRN_E2E_ROLES
  if (roles === 'apart' || roles === 'cluster') return shareCluster(env, roles)
  const server = await startServer({ dataDir: join(folder, 'data'), env })
  return { server, stop: () => server.stop() }
}

const clusters = new Map<string, Promise<Roles>>()

/** One cluster for all worlds of the same settings, until the end of the run: it has many processes. */
async function shareCluster(env: Env, roles: 'apart' | 'cluster'): Promise<Roles> {
  const key = JSON.stringify(env)
  const running = clusters.get(key) ?? openCluster(env, roles)
  clusters.set(key, running)
  return { server: (await running).server, stop: async () => undefined }
}

async function openCluster(env: Env, roles: 'apart' | 'cluster'): Promise<Roles> {
  const folder = await temporaryFolder('cluster')
  // What it holds need not last.
  const etcd = roles === 'cluster' ? await startEtcd() : undefined
  const onEtcd = etcd === undefined ? {} : { etcd, metadataServices: 2 }
  const cluster = await startCluster({ folder, env, chunkServers: 3, gateways: 1, ...onEtcd })
  const server = cluster.gateways[0]
  if (server === undefined) throw new Error('the cluster has no gateway')
  return {
    server,
    async stop() {
      await cluster.stop()
      await etcd?.stop()
      await removeFolder(folder)
    },
  }
}

after(async function () {
  this.timeout(START_TIMEOUT_MS)
  for (const running of clusters.values()) await (await running).stop()
})

let made = 0

/** A bucket name that no other test of the run uses. */
export function freshName(): string {
  made += 1
  return `bucket-${process.pid}-${made}`
}
