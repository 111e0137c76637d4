/** Forms through a real gateway, cut into pieces at random, against a parser-free model of what was sent. */
import { createHmac } from 'node:crypto'
import { type Clock, systemClock } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { FORM_HEAD_BYTES_MAX } from '../../src/limits.js'
import type { Operation } from '../../src/operations/types.js'
import { EXAMPLE } from '../authentication/raw-request.js'
import { RawConnection } from './raw-connection.js'
import { DATE, HOST, NOW_MS, startTestGateway, type TestGateway } from './test-gateway.js'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 1)
const FORMS = 60

/** Timers run a thousand times faster: windows of a minute pass in milliseconds. */
const FAST: Clock = {
  ...systemClock,
  wallMicros: () => NOW_MS * 1000,
  monotonicMs: () => systemClock.monotonicMs() * 1000,
  setTimer: (delayMs, task) => systemClock.setTimer(delayMs / 1000, task),
}

describe(`forms (seed ${SEED})`, () => {
  const random = createSeededRandom(SEED)
  const below = (limit: number): number => Math.floor(random.fraction() * limit)
  let server: TestGateway
  const stored: { bytes: Buffer } = { bytes: Buffer.alloc(0) }

  const store: Operation = {
    name: 'PostObject',
    async handle(context) {
      const parts: Buffer[] = []
      // Kept as they come, and looked at only later: nothing may change under the reader.
      for await (const part of context.openBody().body) parts.push(part as Buffer)
      stored.bytes = Buffer.concat(parts)
      return { status: 204 }
    },
  }

  before(async () => {
    server = await startTestGateway({ operations: [store] })
  })

  after(() => server.gateway.close())

  it('bring every byte through, also those that look like a boundary', async function () {
    this.timeout(60_000)
    for (let form = 0; form < FORMS; form++) {
      const boundary = `b${'-'.repeat(below(4))}${below(1000)}`
      const content = nearBoundaries(boundary)
      const body = makeForm(boundary, content)
      const connection = await RawConnection.open(server.port)
      connection.send(headOf(boundary, body.length))
      stored.bytes = Buffer.from('not stored')
      await sendPieces(connection, body)
      const response = await connection.read()
      expect(response.status, `form ${form}: ${response.body}`).to.equal(204)
      expect(stored.bytes.equals(content), `form ${form}`).to.equal(true)
      connection.destroy()
    }
  })

  it('answer one after the other on one connection', async () => {
    const connection = await RawConnection.open(server.port)
    for (let form = 0; form < 5; form++) {
      const content = Buffer.alloc(form * 40_000, 'x')
      const body = makeForm('b', content)
      connection.send(Buffer.concat([Buffer.from(headOf('b', body.length)), body]))
      expect((await connection.read()).status).to.equal(204)
      expect(stored.bytes.length).to.equal(content.length)
    }
    connection.destroy()
  })

  it('leave the connection usable when they are small and refused', async () => {
    const connection = await RawConnection.open(server.port)
    const good = makeForm('b', Buffer.from('x'))
    const bad = makeForm('b', Buffer.from('x'), 'another')
    for (const [body, status] of [
      [bad, 403],
      [good, 204],
      [good.subarray(0, -3), 400],
      [good, 204],
    ] as const) {
      connection.send(Buffer.concat([Buffer.from(headOf('b', body.length)), body]))
      expect((await connection.read()).status).to.equal(status)
    }
    connection.destroy()
  })

  it('are refused when their file does not begin soon enough, before anybody is asked who he is', async () => {
    const field = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    for (const beginning of ['', field, '--b\r\nX: ']) {
      const connection = await RawConnection.open(server.port)
      connection.send(headOf('b', 10_000_000_000) + beginning)
      connection.send(Buffer.alloc(FORM_HEAD_BYTES_MAX + 1, 'x'))
      const response = await connection.read()
      expect(response.body).to.include('<Code>MaxPostPreDataLengthExceededError</Code>')
      expect(response.status).to.equal(400)
      expect(response.headers.connection).to.equal('close')
      connection.destroy()
    }
  })

  it('are refused when their file has no name', async () => {
    const connection = await RawConnection.open(server.port)
    const body = '--b\r\nContent-Disposition: form-data; filename="f"\r\n\r\nx\r\n--b--\r\n'
    connection.send(headOf('b', body.length) + body)
    expect((await connection.read()).status).to.equal(400)
    connection.destroy()
  })

  it('end even if the parser stops for ever at a part that it skips', async () => {
    const fast = await startTestGateway({ operations: [store], clock: FAST })
    const skipped = Buffer.concat([
      Buffer.from('--b\r\nX: y\r\n\r\n'),
      Buffer.alloc(150_000, 'x'),
      Buffer.from('\r\n--b--\r\n'),
    ])
    const whole = makeForm('b', Buffer.from('x'))
    const file = whole.indexOf('--b\r\nContent-Disposition: form-data; name="file"')
    const forms = [
      { body: Buffer.concat([whole.subarray(0, file), skipped]), status: 400 },
      { body: Buffer.concat([whole.subarray(0, -'--b--\r\n'.length), skipped]), status: 204 },
    ]
    for (const { body, status } of forms) {
      stored.bytes = Buffer.from('not stored')
      const connection = await RawConnection.open(fast.port)
      connection.send(Buffer.concat([Buffer.from(headOf('b', body.length)), body]))
      const answer = await connection.read().catch(() => undefined)
      // On Node 20 the parser stops, and the watchdog closes; on Node 24 it comes to the end of the form.
      if (answer === undefined) expect(stored.bytes.toString()).to.equal('not stored')
      else expect(answer.status).to.equal(status)
      connection.destroy()
      expect(fast.gateway.load().running).to.equal(0)
    }
    await fast.gateway.close()
  })

  async function sendPieces(connection: RawConnection, body: Buffer): Promise<void> {
    for (let at = 0; at < body.length; ) {
      const sizeBytes = 1 + below(below(2) === 0 ? 8 : 5_000)
      connection.send(body.subarray(at, at + sizeBytes))
      at += sizeBytes
      if (below(3) === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  function nearBoundaries(boundary: string): Buffer {
    const needle = Buffer.from(`\r\n--${boundary}`)
    const pieces: Buffer[] = []
    for (let count = below(40); count > 0; count--) {
      pieces.push(needle.subarray(0, below(needle.length)), Buffer.from(random.bytes(below(50))))
    }
    return Buffer.concat(pieces)
  }

  function makeForm(boundary: string, content: Buffer, bucket = 'bucket'): Buffer {
    const scope = `${DATE.slice(0, 8)}/us-east-1/s3/aws4_request`
    const fields: Record<string, string> = {
      key: 'key',
      'x-amz-algorithm': 'AWS4-HMAC-SHA256',
      'x-amz-credential': `${EXAMPLE.accessKey}/${scope}`,
      'x-amz-date': DATE,
    }
    const conditions = [{ bucket }, ...Object.entries(fields).map(([name, value]) => ({ [name]: value }))]
    const expiration = new Date(NOW_MS + 60_000).toISOString()
    const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64')
    let key: Buffer = Buffer.from(`AWS4${EXAMPLE.secretKey}`)
    for (const step of [...scope.split('/'), policy]) key = createHmac('sha256', key).update(step).digest()
    const all = { ...fields, policy, 'x-amz-signature': key.toString('hex') }
    const parts = Object.entries(all).map(
      ([name, value]) =>
        `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    )
    return Buffer.concat([
      Buffer.from(parts.join('')),
      Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`),
      content,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ])
  }

  function headOf(boundary: string, sizeBytes: number): string {
    return (
      `POST /bucket HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${sizeBytes}\r\n` +
      `Content-Type: multipart/form-data; boundary=${boundary}\r\n\r\n`
    )
  }
})
