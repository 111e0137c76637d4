import { expect } from 'chai'
import { type BlockId, formatId, mapKey, type SessionId, sessionScopedId } from '../src/ids.js'

const session = Buffer.from('0011223344556677', 'hex') as Uint8Array as SessionId

describe('ids', () => {
  it('are a session and a counter, which may be longer than 32 bits', () => {
    const idOf = (counter: number): string => formatId(sessionScopedId<BlockId>(session, counter))
    expect(idOf(1)).to.equal('00112233445566770000000000000001')
    expect(idOf(0xffff_ffff)).to.equal('001122334455667700000000ffffffff')
    expect(idOf(2 ** 32)).to.equal('00112233445566770000000100000000')
    expect(idOf(Number.MAX_SAFE_INTEGER)).to.equal('0011223344556677001fffffffffffff')
  })

  it('have one form as text, whatever kind of bytes they are', () => {
    const id = sessionScopedId<BlockId>(session, 258)
    const part = new Uint8Array([7, ...id, 7]).subarray(1, 17)
    expect([formatId(part), mapKey(part)]).to.deep.equal([formatId(id), mapKey(id)])
  })
})
