import { type Clock, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import type { Operation } from '../../src/operations/types.js'
import { RawConnection } from './raw-connection.js'
import { NOW_MS, signedHead, startTestGateway, type TestGateway } from './test-gateway.js'

/** Timers run a thousand times faster: windows of a minute pass in milliseconds. */
const FAST: Clock = {
  ...systemClock,
  wallMicros: () => NOW_MS * 1000,
  monotonicMs: () => systemClock.monotonicMs() * 1000,
  setTimer: (delayMs, task) => systemClock.setTimer(delayMs / 1000, task),
}

const HEAD = signedHead({ method: 'HEAD', path: '/bucket/x' })

describe('load', () => {
  const open: RawConnection[] = []
  let server: TestGateway
  let release: () => void = () => undefined
  let begun: () => void = () => undefined

  /** Runs until it is released. */
  const slow: Operation = {
    name: 'GetObjectAttributes',
    handle: () =>
      new Promise((resolve) => {
        release = () => resolve({ status: 200 })
        begun()
      }),
  }

  async function start(options: Parameters<typeof startTestGateway>[0]): Promise<void> {
    server = await startTestGateway(options)
  }

  async function connect(address?: string): Promise<RawConnection> {
    const connection = await RawConnection.open(server.port, address)
    open.push(connection)
    return connection
  }

  /** A request that runs until it is released. */
  async function occupy(): Promise<RawConnection> {
    const connection = await connect()
    const isRunning = new Promise<void>((resolve) => {
      begun = resolve
    })
    const headers = { 'x-amz-object-attributes': 'ETag' }
    connection.send(signedHead({ method: 'GET', path: '/bucket/x?attributes', headers }))
    await isRunning
    return connection
  }

  afterEach(async () => {
    for (const connection of open.splice(0)) connection.destroy()
    await server.gateway.close()
  })

  it('answers SlowDown when the queue is full, and serves again afterwards', async () => {
    await start({ operations: [slow], limits: { requestsRunningMax: 1, requestsWaitingMax: 0 } })
    const first = await occupy()
    const second = await connect()
    second.send(signedHead({ method: 'GET', path: '/bucket/x' }))
    const refused = await second.read()
    expect(refused.status).to.equal(503)
    expect(refused.body).to.contain('<Code>SlowDown</Code>')
    expect(server.gateway.load()).to.include({ running: 1, refused: 1, connections: 2 })
    release()
    expect((await first.read()).status).to.equal(200)
    second.send(HEAD)
    expect((await second.read('HEAD')).status).to.equal(200)
  })

  it('serves others while one address has all the turns it may have', async () => {
    await start({ operations: [slow], limits: { requestsRunningMax: 4, requestsWaitingMax: 0 } })
    for (let turn = 0; turn < 3; turn++) await occupy()
    const fourth = await connect()
    fourth.send(HEAD)
    expect((await fourth.read('HEAD')).status).to.equal(503)
    const other = await connect('127.0.0.2')
    other.send(HEAD)
    expect((await other.read('HEAD')).status).to.equal(200)
  })

  it('lets a trusted proxy have all turns, for it brings many', async () => {
    await start({
      operations: [slow],
      limits: { requestsRunningMax: 4, requestsWaitingMax: 0 },
      config: { trustedProxies: ['127.0.0.1'] },
    })
    for (let turn = 0; turn < 4; turn++) await occupy()
    expect(server.gateway.load().running).to.equal(4)
  })

  it('refuses connections beyond the limit of an address, and takes new ones when others end', async () => {
    await start({ limits: { connectionsPerAddressMax: 2 } })
    const first = await connect()
    await connect()
    const third = await connect()
    expect(await third.closed()).to.match(/^HTTP\/1\.1 503 SlowDown/)
    first.destroy()
    await untilConnections(1)
    const fourth = await connect()
    fourth.send(HEAD)
    expect((await fourth.read('HEAD')).status).to.equal(200)
  })

  it('ends an upload that stands still with RequestTimeout, and stores nothing', async () => {
    await start({ clock: FAST })
    const connection = await connect()
    connection.send(
      signedHead({ method: 'PUT', path: '/bucket/stuck', headers: { 'Content-Length': '100000' } }),
    )
    connection.send('only this')
    const answer = await connection.read('PUT')
    expect(answer.status).to.equal(400)
    expect(answer.body).to.contain('<Code>RequestTimeout</Code>')
    expect(server.objects.has('stuck')).to.equal(false)
  })

  it('cuts a reader that stands still, not one that reads', async () => {
    await start({ clock: FAST })
    server.objects.set('large', Buffer.alloc(64 * 1024 * 1024))
    const reader = await connect()
    const stuck = await connect()
    stuck.pause()
    stuck.send(signedHead({ method: 'GET', path: '/bucket/large' }))
    const cut = server.nextObserved()
    expect((await cut).status).to.equal(499)
    reader.send(HEAD)
    expect((await reader.read('HEAD')).status).to.equal(200)
  })

  async function untilConnections(count: number): Promise<void> {
    while (server.gateway.load().connections > count) {
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
})
