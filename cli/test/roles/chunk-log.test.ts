import type { ChunkServerEvent } from '@cairn/chunk-server'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { pino } from 'pino'
import { logChunkEvents } from '../../src/roles/chunk-log.js'

const WARN = 40
const INFO = 30

function logged(event: ChunkServerEvent): Record<string, unknown> {
  const lines: string[] = []
  logChunkEvents(pino({ base: null }, { write: (line: string) => void lines.push(line) }), 'chunk-2')(event)
  expect(lines).to.have.length(1)
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>
}

describe('the log of chunk servers', () => {
  for (const code of ['PeerRejected', 'DriveFull'] as const) {
    it(`warns of a registration that is refused with ${code}, and says why`, () => {
      const line = logged({ kind: 'unregistered', error: new CairnError(code, 'one is a copy of the other') })
      expect(line).to.include({ level: WARN, server: 'chunk-2' })
      expect(line.err).to.include({ code, message: 'one is a copy of the other' })
    })
  }

  it('takes a metadata service that comes and goes for no trouble', () => {
    const error = new CairnError('ConnectionLost', 'nobody answers')
    expect(logged({ kind: 'unregistered', error }).level).to.equal(INFO)
    expect(logged({ kind: 'registered' }).level).to.equal(INFO)
  })
})
