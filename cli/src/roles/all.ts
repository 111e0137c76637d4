/** All roles in one process: what `cairn start` runs unless told otherwise, and what `startCairn` gives a program. */
import { hostname } from 'node:os'
import { type ChunkServer, createChunkServer, lockFolder, segmentDrive } from '@cairn/chunk-server'
import { connectCairn, createDigestThreads } from '@cairn/client'
import { createMetadataService } from '@cairn/metadata-service'
import type { Config } from '../config.js'
import { loadClusterFile, makeFolder, writePidFile } from '../data-folder.js'
import { logChunkEvents } from './chunk-log.js'
import { addChunkMetrics } from './chunk-metrics.js'
import { addClientMetrics } from './client-metrics.js'
import { logDriveDamage, logReplicaDamage } from './damage-log.js'
import { driveFolders } from './drive-folders.js'
import {
  type Closers,
  identityOf,
  openOrClose,
  type RoleEnvironment,
  type RunningRole,
} from './environment.js'
import { type GatewayListener, gatewayLines, listenGateway } from './gateway-listener.js'
import { addMetadataMetrics } from './metadata-metrics.js'
import { entriesInFlight, explainDamage, openMetadataStore } from './metadata-store.js'
import { recentBytes } from './recent-bytes.js'
import { advertisedHost } from './service-address.js'
import { StoreFailure } from './store-failure.js'
import { refuseTwinDrives } from './twin-drives.js'

const METADATA_ADDRESS = 'local:metadata'
const REPLICAS_DEFAULT = 3

/** All roles, running. */
export interface RunningAll extends RunningRole {
  readonly listener: GatewayListener
}

/** Opens the data folder, starts everything, and resolves once a write and a read would work. */
export async function startAll(environment: RoleEnvironment): Promise<RunningAll> {
  const failure = new StoreFailure(environment.log)
  const { opened, close } = await openOrClose((closers) =>
    failure.unlessFailed(openAll(environment, closers, failure)),
  )
  return { listener: opened, lines: gatewayLines(opened), close }
}

async function openAll(
  environment: RoleEnvironment,
  closers: Closers,
  failure: StoreFailure,
): Promise<GatewayListener> {
  const { config, random } = environment
  makeFolder(config.dataDir)
  const lock = lockFolder(config.dataDir)
  closers.add(() => lock.release())
  const cluster = loadClusterFile(config.dataDir, random, driveFolders(config))
  const secrets = {
    clusterId: cluster.clusterId,
    clusterSecret: config.clusterSecret ?? cluster.clusterSecret,
  }
  closers.add(writePidFile(config.dataDir, 'all'))
  await explainDamage(config, startMetadata(environment, closers, { ...secrets, failure }))
  const servers = await startChunkServers(environment, closers, secrets)
  const client = await connectCairn({
    ...environment,
    lanes: createDigestThreads(),
    recentBytes: recentBytes(),
    metadata: [METADATA_ADDRESS],
    identity: identityOf('gateway', 'gateway-1', secrets),
    onDamage: logReplicaDamage(environment.log),
  })
  closers.add(() => client.close())
  addClientMetrics(environment.metrics, client)
  const findTrouble = async () =>
    failure.trouble ?? (await client.findTrouble()) ?? findDriveTrouble(servers, config)
  const listener = await listenGateway(environment, { client, findTrouble })
  closers.add(() => listener.close())
  return listener
}

interface Secrets {
  readonly clusterId: string
  readonly clusterSecret: string
}

async function startMetadata(
  environment: RoleEnvironment,
  closers: Closers,
  { failure, ...secrets }: Secrets & { readonly failure: StoreFailure },
): Promise<void> {
  const { config, log, metrics } = environment
  const store = await openMetadataStore(environment, failure)
  const service = await createMetadataService({
    ...environment,
    store,
    entriesInFlight: entriesInFlight(config),
    identity: identityOf('metadata', nameOf(config), secrets),
    address: METADATA_ADDRESS,
    isShared: config.etcd !== undefined,
    // Nobody else can reach it.
    advertise: () => '',
    gcGraceSeconds: config.gcGraceSeconds,
    orphanGraceSeconds: config.orphanGraceSeconds,
    scrubSeconds: config.scrubSeconds,
    suspectSeconds: config.suspectSeconds,
    deadSeconds: config.deadSeconds,
    ...(config.rebalance === 'auto' ? { joinSeconds: config.suspectSeconds } : {}),
    replicas: replicasOf(config),
    drivesExpected: driveCount(config),
    log,
  })
  closers.add(() => service.close())
  await service.start()
  addMetadataMetrics(metrics, service)
}

/** Tells services on one etcd apart. */
function nameOf(config: Config): string {
  return config.etcd === undefined ? 'metadata-1' : `all-${advertisedHost(config)}:${config.port}`
}

/** One chunk server for each drive, so that one failing drive is one failing server, as in a cluster. */
async function startChunkServers(
  environment: RoleEnvironment,
  closers: Closers,
  secrets: Secrets,
): Promise<ChunkServer[]> {
  const { config, clock, random, log, metrics } = environment
  const servers = await Promise.all(
    driveFolders(config).map((folder, index) =>
      createChunkServer({
        ...environment,
        id: `chunk-${index + 1}`,
        drives: [
          segmentDrive(folder, {
            clock,
            random,
            durability: config.durability,
            onDamage: logDriveDamage(log, folder),
          }),
        ],
        address: `local:chunk-${index + 1}`,
        metadata: METADATA_ADDRESS,
        identity: identityOf('chunk', `chunk-${index + 1}`, secrets),
        scrubSeconds: config.scrubSeconds,
        durability: config.durability,
        zone: config.zone,
        rack: config.rack,
        host: hostname(),
        onEvent: logChunkEvents(log, `chunk-${index + 1}`),
      }),
    ),
  )
  for (const server of servers) closers.add(() => server.close())
  refuseTwinDrives(servers)
  for (const server of servers) await server.start()
  await Promise.all(servers.map((server) => server.registered()))
  addChunkMetrics(metrics, servers)
  return servers
}

function driveCount(config: Config): number {
  return driveFolders(config).length
}

function replicasOf(config: Config): number {
  return config.replicas ?? Math.min(REPLICAS_DEFAULT, driveCount(config))
}

function findDriveTrouble(servers: readonly ChunkServer[], config: Config): string | undefined {
  const drives = servers.flatMap((server) => server.status().drives)
  const up = drives.filter((drive) => drive.condition === 'up').length
  const needed = Math.min(2, replicasOf(config))
  return up >= needed ? undefined : `${up} of ${drives.length} drives take writes; ${needed} are needed`
}
