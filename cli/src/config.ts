/**
 * The only reader of the environment. Flags win over variables, variables over the file, the file over defaults.
 * All mistakes are collected and told at once.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { AWS_COMPATIBILITY, type Compatibility, SUITES_COMPATIBILITY } from '@cairn/gateway/compatibility'
import type * as Yaml from 'yaml'
import { isEveryInterface } from './endpoint.js'
import {
  type CompatMode,
  flagOf,
  type Role,
  SETTINGS,
  type Setting,
  type SettingName,
  type Settings,
} from './settings.js'
import { readTlsFiles } from './tls-files.js'

/** What a process was told to be, complete and checked. */
export interface Config extends Settings {
  readonly role: Role
  /** `CAIRN_COMPAT` with the switches that were set alone. */
  readonly compatibility: Compatibility
}

/** A configuration that cannot be used, with every mistake on a line of its own. Exit status 1. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.mistakes = mistakes
  }
}

/** Where settings come from. */
export interface ConfigInput {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Also reads the files that settings name, as whoever starts a server must. */
  readonly checkFiles?: boolean
}

/** The settings, and what is worth telling about them. */
export interface ReadConfig {
  readonly config: Config
  /** For example a `CAIRN_` variable that this version does not know. */
  readonly warnings: readonly string[]
}

const ROLES: readonly Role[] = ['all', 'metadata', 'chunk', 'gateway']
const entries = Object.entries<Setting<unknown>>(SETTINGS) as [SettingName, Setting<unknown>][]

/** Reads flags, variables and the file that `--config` or `CAIRN_CONFIG` names. Throws `ConfigError`. */
export function readConfig(input: ConfigInput): ReadConfig {
  const mistakes: string[] = []
  const warnings: string[] = []
  const flags = readFlags(input.argv, mistakes)
  const file = readFile(flags.get('config') ?? input.env.CAIRN_CONFIG, mistakes)
  const values: Record<string, unknown> = {}
  for (const [name, setting] of entries) {
    const text = findText(setting, { flags, env: input.env, file, mistakes })
    values[name] = text === undefined ? setting.fallback : parseValue(setting, text, mistakes)
  }
  const role = readRole(flags.get('role'), mistakes)
  const compatibility = readCompatibility(values.compat as CompatMode, input.env, mistakes)
  warnUnknown(input.env, warnings)
  checkTogether(values as unknown as Settings, role, mistakes)
  warnGuessed(values as unknown as Settings, role, warnings)
  warnOwnKeys(values as unknown as Settings, role, warnings)
  checkEtcd(values as unknown as Settings, mistakes)
  checkTls(values as unknown as Settings, { role, checkFiles: input.checkFiles === true }, mistakes)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return { config: Object.freeze({ ...(values as unknown as Settings), role, compatibility }), warnings }
}

function readFlags(argv: readonly string[], mistakes: string[]): Map<string, string> {
  const options: Record<string, { type: 'string' }> = { config: { type: 'string' }, role: { type: 'string' } }
  for (const [, setting] of entries) {
    options[flagOf(setting.variable)] = { type: 'string' }
    if (setting.secret) options[`${flagOf(setting.variable)}-file`] = { type: 'string' }
  }
  try {
    const { values } = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false })
    return new Map(Object.entries(values) as [string, string][])
  } catch (error) {
    mistakes.push((error as Error).message)
    return new Map()
  }
}

function readFile(path: string | undefined, mistakes: string[]): Map<string, string> {
  const found = new Map<string, string>()
  if (path === undefined) return found
  let content: unknown
  try {
    // Loaded when there is a file: it takes a twentieth of a start.
    const { parse } = createRequire(import.meta.url)('yaml') as typeof Yaml
    content = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    mistakes.push(`${path}: ${(error as Error).message}`)
    return found
  }
  if (content === null || typeof content !== 'object' || Array.isArray(content)) {
    mistakes.push(`${path}: must be a map of settings`)
    return found
  }
  const known = new Set(entries.flatMap(([, { variable }]) => [flagOf(variable), `${flagOf(variable)}-file`]))
  for (const [key, value] of Object.entries(content)) {
    if (!known.has(key)) mistakes.push(`${path}: unknown setting "${key}"`)
    else found.set(key, Array.isArray(value) ? value.join(',') : String(value))
  }
  return found
}

interface Sources {
  readonly flags: ReadonlyMap<string, string>
  readonly env: ConfigInput['env']
  readonly file: ReadonlyMap<string, string>
  readonly mistakes: string[]
}

function findText(setting: Setting<unknown>, sources: Sources): string | undefined {
  const flag = flagOf(setting.variable)
  const text = sources.flags.get(flag) ?? sources.env[setting.variable]
  if (!setting.secret) return text ?? sources.file.get(flag)
  const path = sources.flags.get(`${flag}-file`) ?? sources.env[`${setting.variable}_FILE`]
  if (text !== undefined) return text
  if (path === undefined && sources.file.has(flag)) return sources.file.get(flag)
  return readSecret(setting, path ?? sources.file.get(`${flag}-file`), sources.mistakes)
}

function readSecret(
  setting: Setting<unknown>,
  path: string | undefined,
  mistakes: string[],
): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    mistakes.push(`${setting.variable}_FILE: ${(error as Error).message}`)
    return undefined
  }
}

function parseValue(setting: Setting<unknown>, text: string, mistakes: string[]): unknown {
  try {
    return setting.parse(text)
  } catch (error) {
    mistakes.push(`${setting.variable}: ${(error as Error).message}`)
    return setting.fallback
  }
}

function readRole(text: string | undefined, mistakes: string[]): Role {
  const role = ROLES.find((known) => known === (text ?? 'all'))
  if (role === undefined) mistakes.push(`--role: must be one of ${ROLES.join(', ')}, not "${text}"`)
  return role ?? 'all'
}

/** `strictChunkedPut` → `CAIRN_COMPAT_STRICT_CHUNKED_PUT`. */
function switchVariable(name: string): string {
  return `CAIRN_COMPAT_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

function readCompatibility(mode: CompatMode, env: ConfigInput['env'], mistakes: string[]): Compatibility {
  const switches: Record<string, boolean> = {
    ...(mode === 'suites' ? SUITES_COMPATIBILITY : AWS_COMPATIBILITY),
  }
  for (const name of Object.keys(switches)) {
    const text = env[switchVariable(name)]
    if (text === undefined) continue
    if (text !== 'on' && text !== 'off')
      mistakes.push(`${switchVariable(name)}: must be on or off, not "${text}"`)
    switches[name] = text === 'on'
  }
  return switches as unknown as Compatibility
}

function warnUnknown(env: ConfigInput['env'], warnings: string[]): void {
  const known = new Set(['CAIRN_CONFIG', ...Object.keys(AWS_COMPATIBILITY).map(switchVariable)])
  for (const [, { variable, secret }] of entries) {
    known.add(variable)
    if (secret) known.add(`${variable}_FILE`)
  }
  for (const name of Object.keys(env)) {
    if (name.startsWith('CAIRN_') && !known.has(name))
      warnings.push(`${name}: unknown to this version, ignored`)
  }
}

/** Rules that concern several settings. */
function checkTogether(values: Settings, role: Role, mistakes: string[]): void {
  if ((values.rootAccessKey === undefined) !== (values.rootSecretKey === undefined)) {
    mistakes.push('CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY: give both or neither')
  }
  if (role !== 'all' && values.clusterSecret === undefined) {
    mistakes.push('CAIRN_CLUSTER_SECRET: needed as soon as roles run apart')
  }
  const isApart = role === 'chunk' || role === 'gateway'
  if (isApart && values.metadata === undefined && values.etcd === undefined) {
    mistakes.push(`CAIRN_METADATA: needed by --role ${role}, unless CAIRN_ETCD tells where the services are`)
  }
  const { clusterCa, clusterCert, clusterKey } = values
  const given = [clusterCa, clusterCert, clusterKey].filter((path) => path !== undefined).length
  if (given !== 0 && given !== 3) {
    mistakes.push('CAIRN_CLUSTER_CA, CAIRN_CLUSTER_CERT and CAIRN_CLUSTER_KEY: give all or none')
  }
  checkDrives(values, role, mistakes)
}

/** The address that a server gives to all others. */
function warnGuessed({ host, advertise }: Settings, role: Role, warnings: string[]): void {
  const isSought = role === 'chunk' || role === 'metadata'
  if (!isSought || advertise !== undefined || !isEveryInterface(host)) return
  warnings.push(`CAIRN_ADVERTISE: not given; others are told to come to ${hostname()}`)
}

function warnOwnKeys({ rootAccessKey }: Settings, role: Role, warnings: string[]): void {
  if (role !== 'gateway' || rootAccessKey !== undefined) return
  const keys = 'CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY'
  warnings.push(`${keys}: not given; those of this gateway's own data folder are unknown to other gateways`)
}

function checkEtcd(values: Settings, mistakes: string[]): void {
  const { etcd, etcdCa, etcdCert, etcdKey, etcdUser, etcdPassword } = values
  if ((etcdCert === undefined) !== (etcdKey === undefined)) {
    mistakes.push('CAIRN_ETCD_CERT and CAIRN_ETCD_KEY: give both or neither')
  }
  if ((etcdUser === undefined) !== (etcdPassword === undefined)) {
    mistakes.push('CAIRN_ETCD_USER and CAIRN_ETCD_PASSWORD: give both or neither')
  }
  const isSecure = etcdCa !== undefined || etcdCert !== undefined
  if (isSecure && etcd?.some((endpoint) => endpoint.startsWith('http://'))) {
    mistakes.push('CAIRN_ETCD: names an endpoint by http://, but there are certificates for it')
  }
}

function checkTls(
  { tlsCert, tlsKey, plainPort, port }: Settings,
  { role, checkFiles }: { role: Role; checkFiles: boolean },
  mistakes: string[],
): void {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    mistakes.push('CAIRN_TLS_CERT and CAIRN_TLS_KEY: give both or neither')
  }
  if (plainPort !== undefined && tlsCert === undefined && tlsKey === undefined) {
    mistakes.push('CAIRN_PLAIN_PORT: opens HTTP beside HTTPS; without CAIRN_TLS_CERT CAIRN_PORT is HTTP')
  }
  if (plainPort !== undefined && plainPort !== 0 && plainPort === port) {
    mistakes.push('CAIRN_PLAIN_PORT: must differ from CAIRN_PORT')
  }
  if (!checkFiles || tlsCert === undefined || tlsKey === undefined) return
  if (role === 'all' || role === 'gateway') mistakes.push(...readTlsFiles({ tlsCert, tlsKey }).mistakes)
}

function checkDrives(values: Settings, role: Role, mistakes: string[]): void {
  const count = 'count' in values.drives ? values.drives.count : values.drives.folders.length
  const stores = role === 'all' || role === 'chunk'
  if (stores && count === 0)
    mistakes.push('CAIRN_DRIVES: a process that stores blocks needs at least one drive')
  if (role === 'all' && count > 0 && (values.replicas ?? 1) > count) {
    mistakes.push(`CAIRN_REPLICAS: ${values.replicas} copies need as many drives; there are ${count}`)
  }
}
