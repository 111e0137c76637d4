/** `cairn start --role chunk`: one chunk server with its drives, over TCP. */
import { type ChunkServer, createChunkServer, lockFolder, segmentDrive } from '@cairn/chunk-server'
import { loadServerId, makeFolder, SERVER_LOCK_FILE, writePidFile } from '../data-folder.js'
import { listenHealth } from '../http/health-listener.js'
import { logChunkEvents } from './chunk-log.js'
import { addChunkMetrics } from './chunk-metrics.js'
import { logDriveDamage } from './damage-log.js'
import { driveFolders } from './drive-folders.js'
import {
  type Closers,
  identityOf,
  openOrClose,
  type RoleEnvironment,
  type RunningRole,
} from './environment.js'
import { joined } from './joining.js'
import { advertisedAddress, bindAddress, clusterSecretOf, HTTP_PORTS, hostNameOf } from './service-address.js'
import { openServiceDirectory } from './service-directory.js'

const RPC_PORT = 9200

/** Starts the chunk server; resolves once the metadata service knows it. */
export async function startChunkRole(environment: RoleEnvironment): Promise<RunningRole> {
  const { opened, close } = await openOrClose((closers) => open(environment, closers))
  return { lines: opened, close }
}

async function open(environment: RoleEnvironment, closers: Closers): Promise<readonly string[]> {
  const { config, clock, random, log, metrics } = environment
  makeFolder(config.dataDir)
  // Two servers of one id would take each other's address: half of the drives could not be reached, whoever is asked.
  const lock = lockFolder(config.dataDir, SERVER_LOCK_FILE)
  closers.add(() => lock.release())
  closers.add(writePidFile(config.dataDir, 'chunk'))
  const id = loadServerId(config.dataDir, random)
  let running: ChunkServer | undefined
  // Before the drives are opened: one that has lost its index is read as a whole, and a supervisor must not take that
  // for a hang.
  const findTrouble = async () => findServerTrouble(running)
  const health = await listenHealth(environment, {
    port: HTTP_PORTS.chunk,
    findTrouble,
    inspect: () => ({ role: 'chunk', id, ...running?.status() }),
  })
  closers.add(() => health.close())
  const drives = driveFolders(config).map((folder) =>
    segmentDrive(folder, {
      clock,
      random,
      durability: config.durability,
      onDamage: logDriveDamage(log, folder),
    }),
  )
  const join = async () =>
    createChunkServer({
      ...environment,
      id,
      drives,
      address: bindAddress(config, RPC_PORT),
      metadata: await openServiceDirectory(environment),
      identity: identityOf('chunk', id, clusterSecretOf(config)),
      scrubSeconds: config.scrubSeconds,
      durability: config.durability,
      zone: config.zone,
      rack: config.rack,
      host: hostNameOf(config),
      onEvent: logChunkEvents(log, id),
      advertise: (listening) => advertisedAddress(config, listening),
    })
  const server = await joined(clock, join)
  closers.add(() => server.close())
  running = server
  const address = await server.start()
  await server.registered()
  addChunkMetrics(metrics, [server])
  return [`RPC: ${advertisedAddress(config, address)}`, `Health: ${health.endpoint}/-/health/ready`]
}

function findServerTrouble(server: ChunkServer | undefined): string | undefined {
  if (server === undefined) return 'waiting for a metadata service, or opening the drives'
  const { registered, drives } = server.status()
  if (!registered) return 'not registered with a metadata service'
  if (drives.some(({ condition }) => condition === 'up')) return undefined
  return `none of ${drives.length} drives takes writes`
}
