/**
 * Several hosts on one machine: network namespaces on a bridge that has a namespace of its own, so that nothing of
 * this machine's network is touched but one interface, by which the tests reach them. A link is cut by dropping what
 * the bridge would forward: nothing is refused or reset, and it heals at once.
 *
 * Names carry the process that made them. What a killed run has left behind is taken away by the next one.
 */
import { readdir } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { run, runOk } from './run.js'
import { hasTool } from './tools.js'

const PREFIX = 'cairn-'
const NETNS_FOLDER = '/run/netns'
const SUBNETS = 250
const SWITCH = 'switch'
/** The host that is this process, in the namespace it was started in. */
export const OUTSIDE = 'client'

export interface Host {
  readonly name: string
  readonly address: string
  /** What a command is put behind to run there; it replaces itself by the command, so that the pid is the command's. */
  readonly wrapper: readonly string[]
}

/** Which way a link is cut: from the first named host to the second, back, or both. */
export type Direction = 'both' | 'there' | 'back'

export interface Link {
  readonly from: readonly string[]
  readonly to: readonly string[]
  readonly direction: Direction
}

export interface Hosts {
  /** The host of this name; throws for another name. */
  host(name: string): Host
  /** Makes one more. */
  add(name: string): Promise<Host>
  /** Cuts every link from one of `from` to one of `to`; in place of what was cut before. */
  cut(link: Link): Promise<void>
  /** Carries everything again. */
  heal(): Promise<void>
  /** Takes namespaces and interfaces away, and whatever still runs there. */
  close(): Promise<void>
}

/** Whether this process can have namespaces and cut links. */
export async function canMakeHosts(): Promise<boolean> {
  return process.getuid?.() === 0 && (await hasTool('ip')) && (await hasTool('nft'))
}

/** Makes hosts of these names; this process reaches them, and is the host `client` among them. */
export async function makeHosts(names: readonly string[]): Promise<Hosts> {
  await removeLeftovers()
  const hosts = describeHosts(freeSubnet())
  try {
    await ip(switchCommands(spaceOf(SWITCH)))
    for (const name of [OUTSIDE, ...names]) await hosts.add(name)
    return hosts
  } catch (error) {
    await hosts.close()
    throw error
  }
}

/** Name of a host's namespace. */
function spaceOf(name: string): string {
  return `${PREFIX}${process.pid}-${name}`
}

function describeHosts(subnet: number): Hosts {
  const bridge = spaceOf(SWITCH)
  const hosts = new Map<string, Host>()
  /** Of the bridge, by the name of the host behind it. */
  const ports = new Map<string, string>()
  const load = async (rules: string): Promise<void> => {
    const input = Buffer.from(`add table bridge cut\ndelete table bridge cut\n${rules}`)
    await runOk('ip', ['netns', 'exec', bridge, 'nft', '-f', '-'], { input })
  }
  return {
    host(name) {
      const found = hosts.get(name)
      if (found === undefined) throw new Error(`there is no host ${name}`)
      return found
    },
    async add(name) {
      const port = `p${hosts.size}`
      const address = `10.77.${subnet}.${hosts.size + 1}`
      const own = name === OUTSIDE ? undefined : spaceOf(name)
      const host = { name, address, wrapper: own === undefined ? [] : ['ip', 'netns', 'exec', own] }
      hosts.set(name, host)
      ports.set(name, port)
      await ip(hostCommands({ own, bridge, port, address, device: `cairn${subnet}${port}` }))
      return host
    },
    cut: (link) => load(rulesOf(link, ports)),
    heal: () => load(''),
    close: () => removeSpaces(`${PREFIX}${process.pid}-`),
  }
}

function switchCommands(space: string): string[] {
  return [
    `netns add ${space}`,
    `-n ${space} link add name bridge0 type bridge stp_state 0 forward_delay 0`,
    `-n ${space} link set bridge0 up`,
  ]
}

interface Wiring {
  /** Undefined: the namespace of this process. */
  readonly own: string | undefined
  readonly bridge: string
  readonly port: string
  readonly address: string
  readonly device: string
}

function hostCommands({ own, bridge, port, address, device }: Wiring): string[] {
  const into = own === undefined ? '' : `-n ${own} `
  const made = own === undefined ? [] : [`netns add ${own}`, `-n ${own} link set lo up`]
  const name = own === undefined ? device : 'eth0'
  return [
    ...made,
    `link add ${device} type veth peer name ${port} netns ${bridge}`,
    ...(own === undefined ? [] : [`link set ${device} netns ${own} name ${name}`]),
    `${into}addr add ${address}/24 dev ${name}`,
    `${into}link set ${name} up`,
    `-n ${bridge} link set ${port} master bridge0`,
    `-n ${bridge} link set ${port} up`,
  ]
}

async function ip(commands: readonly string[]): Promise<void> {
  for (const command of commands) await runOk('ip', command.split(' '))
}

function rulesOf({ from, to, direction }: Link, ports: ReadonlyMap<string, string>): string {
  const set = (names: readonly string[]): string => {
    const found = names.map((name) => ports.get(name))
    if (found.includes(undefined)) throw new Error(`unknown host among ${names.join(', ')}`)
    return `{ ${found.map((port) => `"${port}"`).join(', ')} }`
  }
  const drop = (source: readonly string[], target: readonly string[]): string =>
    `iifname ${set(source)} oifname ${set(target)} drop`
  const rules = [
    ...(direction === 'back' ? [] : [drop(from, to)]),
    ...(direction === 'there' ? [] : [drop(to, from)]),
  ]
  return [
    'table bridge cut {',
    'chain forward { type filter hook forward priority 0; policy accept;',
    ...rules,
    '}',
    '}',
    '',
  ].join('\n')
}

/** A subnet no interface of this machine has. */
function freeSubnet(): number {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  const taken = new Set(addresses.map(({ address }) => /^10\.77\.(\d+)\./.exec(address)?.[1]))
  for (let tried = 0; tried < SUBNETS; tried++) {
    const subnet = 1 + ((process.pid + tried) % SUBNETS)
    if (!taken.has(String(subnet))) return subnet
  }
  throw new Error('no free subnet below 10.77')
}

/** Of runs whose process has ended. */
async function removeLeftovers(): Promise<void> {
  const names = await readdir(NETNS_FOLDER).catch(() => [])
  const owners = new Set(names.map((name) => Number(/^cairn-(\d+)-/.exec(name)?.[1] ?? 0)))
  for (const owner of owners) if (owner > 0 && !isAlive(owner)) await removeSpaces(`${PREFIX}${owner}-`)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A namespace goes with its interfaces once nothing runs in it. */
async function removeSpaces(prefix: string): Promise<void> {
  const names = (await readdir(NETNS_FOLDER).catch(() => [])).filter((name) => name.startsWith(prefix))
  for (const name of names) {
    const { stdout } = await run('ip', ['netns', 'pids', name])
    for (const pid of stdout.toString().split(/\s+/).filter(Boolean)) await run('kill', ['-9', pid])
    await run('ip', ['netns', 'delete', name])
  }
}
