import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { expect } from 'chai'
import {
  canMakeHosts,
  type Direction,
  type Host,
  type Hosts,
  makeHosts,
  OUTSIDE,
} from '../../src/harness/hosts.js'
import { runOk } from '../../src/harness/run.js'

const PORT = 9
/** Sends a datagram of one word to each address. */
const SEND = `const [word, ...to] = process.argv.slice(1); const s = require('dgram').createSocket('udp4')
let left = to.length; for (const each of to) s.send(word, ${PORT}, each, () => { if (--left === 0) s.close() })`
/** Says the words that arrive. */
const LISTEN = `const s = require('dgram').createSocket('udp4')
s.on('message', (word) => console.log(String(word))); s.bind(${PORT}, () => console.log('listening'))`

function startOn({ wrapper }: Host, script: string): ChildProcess {
  const [command = '', ...args] = [...wrapper, process.execPath, '-e', script]
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

describe('hosts on one machine', function () {
  this.timeout(60_000)
  let hosts: Hosts
  let listeners: ChildProcess[] = []
  const heard: Record<string, string> = {}

  before(async function () {
    if (!(await canMakeHosts())) this.skip()
    hosts = await makeHosts(['a', 'b'])
    for (const name of ['a', 'b']) {
      const child = startOn(hosts.host(name), LISTEN)
      listeners.push(child)
      child.stdout?.on('data', (said: Buffer) => {
        heard[name] = `${heard[name] ?? ''}${said}`
      })
      await once(child.stdout as NodeJS.ReadableStream, 'data')
    }
  })

  after(async () => {
    await hosts?.close()
    listeners = []
  })

  /** Who hears of whom, when each host sends its name to the other, and this process then a last word to both. */
  async function exchange(direction: Direction | undefined): Promise<string> {
    if (direction === undefined) await hosts.heal()
    else await hosts.cut({ from: ['a'], to: ['b'], direction })
    for (const name of ['a', 'b']) heard[name] = ''
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const { wrapper } = hosts.host(from)
      const [command = '', ...args] = [...wrapper, process.execPath, '-e', SEND, from, hosts.host(to).address]
      await runOk(command, args)
    }
    const all = ['a', 'b'].map((name) => hosts.host(name).address)
    const last = listeners.map(async (child, at) => {
      while (!heard[at === 0 ? 'a' : 'b']?.includes('last'))
        await once(child.stdout as NodeJS.ReadableStream, 'data')
    })
    await runOk(process.execPath, ['-e', SEND, 'last', ...all])
    await Promise.all(last)
    return ['a', 'b'].map((name) => `${name} heard ${heard[name]?.split('\n').join(' ').trim()}`).join(', ')
  }

  it('reach each other, and this process reaches them', async () => {
    expect(await exchange(undefined)).to.equal('a heard b last, b heard a last')
    expect(hosts.host(OUTSIDE).wrapper).to.deep.equal([])
  })

  it('are cut off one way or both, and healed at once', async () => {
    expect(await exchange('there')).to.equal('a heard b last, b heard last')
    expect(await exchange('back')).to.equal('a heard last, b heard a last')
    expect(await exchange('both')).to.equal('a heard last, b heard last')
    expect(await exchange(undefined)).to.equal('a heard b last, b heard a last')
  })

  it('are joined by one more', async () => {
    const { wrapper } = await hosts.add('c')
    heard.a = ''
    const [command = '', ...args] = [...wrapper, process.execPath, '-e', SEND, 'c', hosts.host('a').address]
    await runOk(command, args)
    while (heard.a === '') await once(listeners[0]?.stdout as NodeJS.ReadableStream, 'data')
    expect(heard.a.trim()).to.equal('c')
  })

  it('leave nothing behind, and nobody running', async () => {
    const ended = listeners.map((child) => once(child, 'exit'))
    await hosts.close()
    await Promise.all(ended)
    const names = await readdir('/run/netns')
    expect(names.filter((name) => name.startsWith(`cairn-${process.pid}-`))).to.deep.equal([])
  })
})
