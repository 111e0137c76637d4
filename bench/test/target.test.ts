import { expect } from 'chai'
import { parseTarget } from '../src/target.js'

describe('parseTarget', () => {
  it('reads every field', () => {
    const text = 'name=n,endpoint=http://h:1/,access-key=a,secret-key=s==,region=r,pids=1+2,contract=no sync'
    expect(parseTarget(text)).to.deep.equal({
      name: 'n',
      endpoint: 'http://h:1',
      accessKey: 'a',
      secretKey: 's==',
      region: 'r',
      pids: [1, 2],
      contract: 'no sync',
    })
  })

  it('names what is missing or unknown', () => {
    expect(() => parseTarget('name=n')).to.throw('endpoint is missing')
    expect(() => parseTarget('size=4')).to.throw('what is "size=4"?')
    expect(() => parseTarget('name=n,endpoint=ftp://h,access-key=a,secret-key=s')).to.throw(
      'http://host:port',
    )
  })
})
