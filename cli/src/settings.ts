/**
 * Every setting of Cairn: one table for variables, flags, the file, `cairn help` and the README.
 */
import {
  anyText,
  choice,
  type DriveSetting,
  parseAccessKey,
  parseAddresses,
  parseClusterSecret,
  parseDrives,
  parseEtcd,
  parseHost,
  parseHosts,
  parsePrefix,
  parseSecretKey,
  whole,
} from './setting-values.js'

/** How a setting is read. */
export interface Setting<T> {
  /** The variable, `CAIRN_…`. The flag is the same in kebab case without the prefix. */
  readonly variable: string
  readonly describe: string
  /** Shown in help; the value itself is `fallback`. */
  readonly fallbackText: string
  readonly fallback: T
  readonly parse: (text: string) => T
  /** May also be given as `…_FILE`, and is never printed. */
  readonly secret?: boolean
}

/** `suites` sets every switch of `Compatibility` the other way, but the strict ones. */
export type CompatMode = 'aws' | 'suites'
/** Whether writes wait for the disk. */
export type Durability = 'fsync' | 'none'
/** How closely the copies of the metadata on the drives follow. */
export type JournalMode = 'async' | 'sync' | 'off'
/** Whether a metadata service reads from its own copy of etcd, or from etcd. */
export type MetadataReads = 'mirror' | 'etcd'
/** What a process is; `all` is every one of them in one process. */
export type Role = 'all' | 'metadata' | 'chunk' | 'gateway'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
/** As pino names them. */
export type LogLevel = (typeof LOG_LEVELS)[number]

const REPLICAS_MAX = 8
const SECONDS_MAX = 10 * 365 * 86_400

function setting<T, F extends T | undefined>(
  variable: string,
  describe: string,
  fallback: F,
  parse: (text: string) => T,
  more: { fallbackText?: string; secret?: boolean } = {},
): Setting<T | F> {
  const fallbackText = more.fallbackText ?? (fallback === undefined ? 'unset' : String(fallback))
  return { variable, describe, fallback, fallbackText, parse, ...(more.secret ? { secret: true } : {}) }
}

/** The values of all settings. Undefined means: not given, and there is no fixed default. */
export interface Settings {
  readonly dataDir: string
  readonly host: string
  readonly port: number
  readonly rootAccessKey: string | undefined
  readonly rootSecretKey: string | undefined
  readonly drives: DriveSetting
  readonly replicas: number | undefined
  readonly region: string
  readonly domain: string | undefined
  readonly publicEndpoints: readonly string[]
  readonly trustedProxies: readonly string[]
  readonly compat: CompatMode
  readonly durability: Durability
  readonly etcd: readonly string[] | undefined
  readonly etcdPrefix: string
  readonly etcdCa: string | undefined
  readonly etcdCert: string | undefined
  readonly etcdKey: string | undefined
  readonly etcdUser: string | undefined
  readonly etcdPassword: string | undefined
  readonly etcdQuotaBytes: number
  readonly metadataReads: MetadataReads
  readonly clusterSecret: string | undefined
  readonly clusterCa: string | undefined
  readonly clusterCert: string | undefined
  readonly clusterKey: string | undefined
  readonly metadata: readonly string[] | undefined
  readonly rpcPort: number | undefined
  readonly httpPort: number | undefined
  readonly advertise: string | undefined
  readonly zone: string
  readonly rack: string
  readonly gcGraceSeconds: number
  readonly orphanGraceSeconds: number
  readonly scrubSeconds: number
  readonly suspectSeconds: number
  readonly deadSeconds: number
  readonly rebalance: 'auto' | 'command'
  readonly journal: JournalMode
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly plainPort: number | undefined
  readonly landingPage: string | undefined
  readonly metricsToken: string | undefined
  readonly logLevel: LogLevel
}

/** The table. Names and defaults are a contract: outside tools rely on them. */
export const SETTINGS: { readonly [Name in keyof Settings]: Setting<Settings[Name]> } = {
  dataDir: setting('CAIRN_DATA_DIR', 'where everything lies', './data', anyText),
  host: setting('CAIRN_HOST', 'address that all ports of the process bind to', '127.0.0.1', parseHost),
  port: setting('CAIRN_PORT', 'S3 port; 0 picks a free one', 9000, whole(0, 65_535)),
  rootAccessKey: setting(
    'CAIRN_ROOT_ACCESS_KEY',
    'access key of the root account',
    undefined,
    parseAccessKey,
    {
      fallbackText: 'made at the first start',
      secret: true,
    },
  ),
  rootSecretKey: setting(
    'CAIRN_ROOT_SECRET_KEY',
    'secret key of the root account',
    undefined,
    parseSecretKey,
    {
      fallbackText: 'made at the first start',
      secret: true,
    },
  ),
  drives: setting(
    'CAIRN_DRIVES',
    'number of local drives, or a comma list of their folders',
    { count: 3 },
    parseDrives,
    { fallbackText: '3' },
  ),
  replicas: setting(
    'CAIRN_REPLICAS',
    'copies of each block in the first pool, when it is made',
    undefined,
    whole(1, REPLICAS_MAX),
    {
      fallbackText: '3; of all roles in one process, the number of drives if less',
    },
  ),
  region: setting('CAIRN_REGION', 'region that requests are signed for', 'us-east-1', anyText),
  domain: setting('CAIRN_DOMAIN', 'base domain for virtual-host style', undefined, parseHost),
  publicEndpoints: setting(
    'CAIRN_PUBLIC_ENDPOINTS',
    'comma list of host or host:port under which signatures are also tried',
    [],
    parseHosts,
    { fallbackText: 'unset' },
  ),
  trustedProxies: setting(
    'CAIRN_TRUSTED_PROXIES',
    'comma list of addresses whose forwarded headers count',
    [],
    parseHosts,
    { fallbackText: 'unset' },
  ),
  compat: setting(
    'CAIRN_COMPAT',
    'aws, or suites: every switch where public suites and AWS disagree, but the strict ones; each also alone as CAIRN_COMPAT_NAME=on or off',
    'aws',
    choice<CompatMode>(['aws', 'suites']),
  ),
  durability: setting(
    'CAIRN_DURABILITY',
    'fsync, or none for throw-away test servers',
    'fsync',
    choice<Durability>(['fsync', 'none']),
  ),
  etcd: setting(
    'CAIRN_ETCD',
    'comma list of the etcd members that hold the metadata; without it SQLite does',
    undefined,
    parseEtcd,
    { fallbackText: 'unset: SQLite' },
  ),
  etcdPrefix: setting('CAIRN_ETCD_PREFIX', 'what all keys in etcd begin with', '/cairn/', parsePrefix),
  etcdCa: setting(
    'CAIRN_ETCD_CA',
    'PEM file of who signs the certificates of etcd; like the next two read again when it changes',
    undefined,
    anyText,
  ),
  etcdCert: setting('CAIRN_ETCD_CERT', 'PEM file of the certificate shown to etcd', undefined, anyText),
  etcdKey: setting('CAIRN_ETCD_KEY', 'PEM file of its private key', undefined, anyText),
  etcdUser: setting('CAIRN_ETCD_USER', 'user name for etcd', undefined, anyText),
  etcdPassword: setting('CAIRN_ETCD_PASSWORD', 'password of that user', undefined, anyText, { secret: true }),
  etcdQuotaBytes: setting(
    'CAIRN_ETCD_QUOTA_BYTES',
    'quota of the members of etcd, where they do not tell it; above nine tenths only what frees space is written',
    8 * 1024 ** 3,
    whole(1, Number.MAX_SAFE_INTEGER),
    { fallbackText: '8 GiB' },
  ),
  metadataReads: setting(
    'CAIRN_METADATA_READS',
    'mirror: reads are answered by a copy of etcd beside the service; etcd: by etcd itself',
    'mirror',
    choice<MetadataReads>(['mirror', 'etcd']),
  ),
  clusterSecret: setting(
    'CAIRN_CLUSTER_SECRET',
    'proves that a peer belongs to the cluster; at least 32 bytes',
    undefined,
    parseClusterSecret,
    {
      fallbackText: 'made at the first start of all roles in one process',
      secret: true,
    },
  ),
  clusterCa: setting(
    'CAIRN_CLUSTER_CA',
    'PEM file of who signs the certificates for mutual TLS between roles; like the next two read again when it changes',
    undefined,
    anyText,
  ),
  clusterCert: setting(
    'CAIRN_CLUSTER_CERT',
    'PEM file of the certificate that this role shows the others',
    undefined,
    anyText,
  ),
  clusterKey: setting('CAIRN_CLUSTER_KEY', 'PEM file of its private key', undefined, anyText),
  metadata: setting('CAIRN_METADATA', 'host:port of the metadata services', undefined, parseAddresses),
  rpcPort: setting('CAIRN_RPC_PORT', 'port between services', undefined, whole(0, 65_535), {
    fallbackText: '9100 metadata, 9200 chunk',
  }),
  httpPort: setting(
    'CAIRN_HTTP_PORT',
    'health and metrics of a metadata or chunk process',
    undefined,
    whole(0, 65_535),
    {
      fallbackText: '9101 metadata, 9201 chunk',
    },
  ),
  advertise: setting(
    'CAIRN_ADVERTISE',
    'host under which others reach this process; to placement it is its host',
    undefined,
    parseHost,
    {
      fallbackText: 'CAIRN_HOST, or the name of the host where that is every interface',
    },
  ),
  zone: setting('CAIRN_ZONE', 'failure domain above the rack', 'default', anyText),
  rack: setting('CAIRN_RACK', 'failure domain above the host', 'default', anyText),
  gcGraceSeconds: setting(
    'CAIRN_GC_GRACE_SECONDS',
    'how long dropped blocks are kept; a minute at most while a drive has less than 5 % free',
    600,
    whole(0, SECONDS_MAX),
  ),
  orphanGraceSeconds: setting(
    'CAIRN_ORPHAN_GRACE_SECONDS',
    'how long blocks that no commit named are kept after their writer ended',
    86_400,
    whole(0, SECONDS_MAX),
  ),
  scrubSeconds: setting(
    'CAIRN_SCRUB_SECONDS',
    'time in which every stored block is read again and verified; 0 turns it off',
    1_209_600,
    whole(0, SECONDS_MAX),
  ),
  suspectSeconds: setting(
    'CAIRN_SUSPECT_SECONDS',
    'silence after which a drive counts as suspect',
    30,
    whole(1, SECONDS_MAX),
  ),
  deadSeconds: setting(
    'CAIRN_DEAD_SECONDS',
    'silence after which a drive counts as dead and others take its place',
    600,
    whole(1, SECONDS_MAX),
  ),
  rebalance: setting(
    'CAIRN_REBALANCE',
    'use of new drives: auto (once they have been up for CAIRN_SUSPECT_SECONDS), or only by command',
    'auto',
    choice<'auto' | 'command'>(['auto', 'command']),
  ),
  journal: setting(
    'CAIRN_JOURNAL',
    'copies of the metadata on the drives: async (at most a second behind), sync (before the answer), or off',
    'async',
    choice<JournalMode>(['async', 'sync', 'off']),
  ),
  tlsCert: setting(
    'CAIRN_TLS_CERT',
    'PEM file of the certificate chain; read again when it changes',
    undefined,
    anyText,
  ),
  tlsKey: setting('CAIRN_TLS_KEY', 'PEM file of its private key', undefined, anyText),
  plainPort: setting(
    'CAIRN_PLAIN_PORT',
    'opens HTTP beside HTTPS; 0 picks a free one',
    undefined,
    whole(0, 65_535),
  ),
  landingPage: setting(
    'CAIRN_LANDING_PAGE',
    'where an anonymous visit of the root is sent; refused when unset',
    undefined,
    anyText,
  ),
  metricsToken: setting(
    'CAIRN_METRICS_TOKEN',
    'bearer token for metrics from other hosts than this one',
    undefined,
    anyText,
    { secret: true },
  ),
  logLevel: setting(
    'CAIRN_LOG_LEVEL',
    'JSON lines on stderr; pretty on a terminal',
    'info',
    choice<LogLevel>(LOG_LEVELS),
  ),
}

/** The name of a setting in the code. */
export type SettingName = keyof Settings

/** `CAIRN_DATA_DIR` → `data-dir`. */
export function flagOf(variable: string): string {
  return variable
    .replace(/^CAIRN_/, '')
    .toLowerCase()
    .replaceAll('_', '-')
}
