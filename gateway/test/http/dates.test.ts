import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { formatHttpDate } from '../../src/http/dates.js'

describe('HTTP dates', () => {
  it('are those of Date, in any order, before 1970 and around midnight', () => {
    const random = createSeededRandom(11)
    const days = [-1, 0, 1, 59, 20_487, 20_488, 80_000].map((day) => day * 86_400_000)
    const times = days.flatMap((start) => [start - 1, start, start + 999, start + 1000, start + 86_399_999])
    for (let round = 0; round < 500; round++) times.push(Math.floor(random.fraction() * 4e12))
    for (const time of times) expect(formatHttpDate(time)).to.equal(new Date(time).toUTCString())
  })
})
