// SPDX-License-Identifier: Apache-2.0 OR MIT
// What honest agents call, as small as it can be: balances really move, and what is not paid for reverts. Nothing here has a constructor, so
// that the code can lie at any address. Anybody may mint.
pragma solidity 0.8.37;

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function mint(address to, uint256 amount) external;
    function burn(address from, uint256 amount) external;
}

contract Erc20 {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 amount);
    event Approval(address indexed owner, address indexed spender, uint256 amount);

    function decimals() external pure virtual returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function burn(address from, uint256 amount) external {
        balanceOf[from] -= amount;
        emit Transfer(from, address(0), amount);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        move(from, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        grant(msg.sender, spender, amount);
        return true;
    }

    function increaseAllowance(address spender, uint256 added) external returns (bool) {
        grant(msg.sender, spender, allowance[msg.sender][spender] + added);
        return true;
    }

    function decreaseAllowance(address spender, uint256 subtracted) external returns (bool) {
        grant(msg.sender, spender, allowance[msg.sender][spender] - subtracted);
        return true;
    }

    function grant(address owner, address spender, uint256 amount) internal {
        allowance[owner][spender] = amount;
        emit Approval(owner, spender, amount);
    }

    function move(address from, address to, uint256 amount) internal {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// A dollar with ERC-2612 and ERC-3009.
contract Dollar is Erc20 {
    string public constant name = "USD Coin";
    string public constant version = "2";
    mapping(address => uint256) public nonces;
    mapping(address => mapping(bytes32 => bool)) public authorizationState;

    bytes32 constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        bytes32 kind =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(
            abi.encode(kind, keccak256(bytes(name)), keccak256(bytes(version)), block.chainid, address(this))
        );
    }

    function signer(bytes32 message, bytes memory signature) internal view returns (address) {
        require(signature.length == 65, "signature");
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        address found = ecrecover(keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), message)), v, r, s);
        require(found != address(0), "signature");
        return found;
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        require(block.timestamp <= deadline, "deadline");
        bytes32 message = keccak256(abi.encode(PERMIT, owner, spender, value, nonces[owner]++, deadline));
        require(signer(message, abi.encodePacked(r, s, v)) == owner, "owner");
        grant(owner, spender, value);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        authorized(from, to, value, validAfter, validBefore, nonce, abi.encodePacked(r, s, v));
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        authorized(from, to, value, validAfter, validBefore, nonce, signature);
    }

    function authorized(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) internal {
        require(block.timestamp > validAfter && block.timestamp < validBefore, "time");
        require(!authorizationState[from][nonce], "used");
        authorizationState[from][nonce] = true;
        bytes32 message = keccak256(abi.encode(TRANSFER, from, to, value, validAfter, validBefore, nonce));
        require(signer(message, signature) == from, "from");
        move(from, to, value);
    }
}

contract Weth is Erc20 {
    function decimals() external pure override returns (uint8) {
        return 18;
    }

    receive() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    function deposit() external payable {
        balanceOf[msg.sender] += msg.value;
    }

    function withdraw(uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        (bool sent,) = msg.sender.call{value: amount}("");
        require(sent, "send");
    }
}

contract Items721 {
    mapping(uint256 => address) public ownerOf;
    mapping(uint256 => address) public getApproved;
    mapping(address => mapping(address => bool)) public isApprovedForAll;

    function mint(address to, uint256 id) external {
        ownerOf[id] = to;
    }

    function approve(address spender, uint256 id) external {
        require(ownerOf[id] == msg.sender, "owner");
        getApproved[id] = spender;
    }

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
    }

    function transferFrom(address from, address to, uint256 id) public {
        require(ownerOf[id] == from, "owner");
        require(
            msg.sender == from || getApproved[id] == msg.sender || isApprovedForAll[from][msg.sender], "approved"
        );
        ownerOf[id] = to;
        getApproved[id] = address(0);
    }

    function safeTransferFrom(address from, address to, uint256 id) external {
        transferFrom(from, to, id);
    }

    function safeTransferFrom(address from, address to, uint256 id, bytes calldata) external {
        transferFrom(from, to, id);
    }
}

contract Items1155 {
    mapping(address => mapping(uint256 => uint256)) public balances;
    mapping(address => mapping(address => bool)) public isApprovedForAll;

    function mint(address to, uint256 id, uint256 amount) external {
        balances[to][id] += amount;
    }

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
    }

    function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes calldata) public {
        require(msg.sender == from || isApprovedForAll[from][msg.sender], "approved");
        balances[from][id] -= amount;
        balances[to][id] += amount;
    }

    function safeBatchTransferFrom(
        address from,
        address to,
        uint256[] calldata ids,
        uint256[] calldata amounts,
        bytes calldata data
    ) external {
        for (uint256 i = 0; i < ids.length; i++) {
            safeTransferFrom(from, to, ids[i], amounts[i], data);
        }
    }
}

/// Swaps one for one, in base units.
contract Router2 {
    function swapExactTokensForTokens(uint256 paid, uint256, address[] calldata path, address to, uint256) external {
        IToken(path[0]).transferFrom(msg.sender, address(this), paid);
        IToken(path[path.length - 1]).mint(to, paid);
    }

    function swapTokensForExactTokens(uint256 got, uint256 most, address[] calldata path, address to, uint256)
        external
    {
        require(got <= most, "most");
        IToken(path[0]).transferFrom(msg.sender, address(this), got);
        IToken(path[path.length - 1]).mint(to, got);
    }

    function swapExactETHForTokens(uint256 least, address[] calldata path, address to, uint256) external payable {
        require(msg.value > 0, "value");
        IToken(path[path.length - 1]).mint(to, least);
    }

    function swapExactTokensForETH(uint256 paid, uint256, address[] calldata path, address, uint256) external {
        IToken(path[0]).transferFrom(msg.sender, address(this), paid);
    }

    function addLiquidity(
        address a,
        address b,
        uint256 ofA,
        uint256 ofB,
        uint256,
        uint256,
        address,
        uint256
    ) external {
        IToken(a).transferFrom(msg.sender, address(this), ofA);
        IToken(b).transferFrom(msg.sender, address(this), ofB);
    }

    function removeLiquidity(address a, address b, uint256 amount, uint256, uint256, address to, uint256) external {
        IToken(a).transfer(to, amount);
        IToken(b).transfer(to, amount);
    }
}

contract Router3 {
    struct Single {
        address tokenIn;
        address tokenOut;
        uint24 fee;
        address recipient;
        uint256 amountIn;
        uint256 amountOutMinimum;
        uint160 limit;
    }

    struct Out {
        address tokenIn;
        address tokenOut;
        uint24 fee;
        address recipient;
        uint256 amountOut;
        uint256 amountInMaximum;
        uint160 limit;
    }

    struct Path {
        bytes path;
        address recipient;
        uint256 amountIn;
        uint256 amountOutMinimum;
    }

    function swap(address from, address to, uint256 amount, address recipient) internal {
        if (address(this).balance < amount) IToken(from).transferFrom(msg.sender, address(this), amount);
        IToken(to).mint(recipient == address(2) ? address(this) : recipient, amount);
    }

    function exactInputSingle(Single calldata p) external payable {
        swap(p.tokenIn, p.tokenOut, p.amountIn, p.recipient);
    }

    function exactOutputSingle(Out calldata p) external payable {
        require(p.amountOut <= p.amountInMaximum, "most");
        swap(p.tokenIn, p.tokenOut, p.amountOut, p.recipient);
    }

    function exactInput(Path calldata p) external payable {
        bytes calldata path = p.path;
        address from = address(bytes20(path[:20]));
        address to = address(bytes20(path[path.length - 20:]));
        swap(from, to, p.amountIn, p.recipient);
    }

    function sweepToken(address token, uint256 least, address to) external payable {
        IToken(token).transfer(to, least);
    }

    function refundETH() external payable {}

    function multicall(bytes[] calldata calls) public payable {
        for (uint256 i = 0; i < calls.length; i++) {
            (bool done,) = address(this).delegatecall(calls[i]);
            require(done, "inner");
        }
    }

    function multicall(uint256 deadline, bytes[] calldata calls) external payable {
        require(block.timestamp <= deadline, "deadline");
        multicall(calls);
    }
}

/// Takes every call, as a protocol would of which only the first argument of a transfer matters here.
contract Sink {
    event Called(bytes4 selector, uint256 value);

    fallback() external payable {
        emit Called(msg.sig, msg.value);
    }

    receive() external payable {}
}

contract Pool {
    function supply(address asset, uint256 amount, address, uint16) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function withdraw(address asset, uint256 amount, address to) external {
        IToken(asset).transfer(to, amount);
    }

    function borrow(address asset, uint256 amount, uint256, uint16, address) external {
        IToken(asset).mint(msg.sender, amount);
    }

    function repay(address asset, uint256 amount, uint256, address) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function setUserUseReserveAsCollateral(address, bool) external {}

    function setUserEMode(uint8) external {}
}

contract Market {
    function supply(address asset, uint256 amount) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function withdraw(address asset, uint256 amount) external {
        IToken(asset).transfer(msg.sender, amount);
    }

    function withdrawTo(address to, address asset, uint256 amount) external {
        IToken(asset).transfer(to, amount);
    }

    function supplyTo(address, address asset, uint256 amount) external {
        IToken(asset).transferFrom(msg.sender, address(this), amount);
    }

    function allow(address, bool) external {}
}

/// Its asset is the dollar at its fixed address; a share is one unit of it.
contract Vault {
    IToken constant ASSET = IToken(0x2222222222222222222222222222222222222222);
    mapping(address => uint256) public balanceOf;

    function deposit(uint256 assets, address receiver) external {
        ASSET.transferFrom(msg.sender, address(this), assets);
        balanceOf[receiver] += assets;
    }

    function mint(uint256 shares, address receiver) external {
        ASSET.transferFrom(msg.sender, address(this), shares);
        balanceOf[receiver] += shares;
    }

    function withdraw(uint256 assets, address receiver, address owner) external {
        require(owner == msg.sender, "owner");
        balanceOf[owner] -= assets;
        ASSET.transfer(receiver, assets);
    }

    function redeem(uint256 shares, address receiver, address owner) external {
        require(owner == msg.sender, "owner");
        balanceOf[owner] -= shares;
        ASSET.transfer(receiver, shares);
    }
}

contract Bridge {
    function depositForBurn(uint256 amount, uint32, bytes32, address token) external {
        IToken(token).transferFrom(msg.sender, address(this), amount);
        IToken(token).burn(address(this), amount);
    }

    function depositV3(
        address,
        address,
        address token,
        address,
        uint256 amount,
        uint256,
        uint256,
        address,
        uint32,
        uint32,
        uint32,
        bytes calldata
    ) external payable {
        if (msg.value == 0) IToken(token).transferFrom(msg.sender, address(this), amount);
        else require(msg.value == amount, "value");
    }

    function bridgeETH(uint32, bytes calldata) external payable {}

    function bridgeETHTo(address, uint32, bytes calldata) external payable {}

    function bridgeERC20(address token, address, uint256 amount, uint32, bytes calldata) external {
        IToken(token).transferFrom(msg.sender, address(this), amount);
    }

    function bridgeERC20To(address token, address, address, uint256 amount, uint32, bytes calldata) external {
        IToken(token).transferFrom(msg.sender, address(this), amount);
    }
}

contract Multicall3 {
    struct Call {
        address target;
        bytes data;
    }

    struct Call3 {
        address target;
        bool allowFailure;
        bytes data;
    }

    struct Call3Value {
        address target;
        bool allowFailure;
        uint256 value;
        bytes data;
    }

    function make(address target, uint256 value, bytes calldata data, bool mayFail) internal {
        (bool done,) = target.call{value: value}(data);
        require(done || mayFail, "inner");
    }

    function aggregate(Call[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) make(calls[i].target, 0, calls[i].data, false);
    }

    function aggregate3(Call3[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) make(calls[i].target, 0, calls[i].data, calls[i].allowFailure);
    }

    function aggregate3Value(Call3Value[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) {
            make(calls[i].target, calls[i].value, calls[i].data, calls[i].allowFailure);
        }
    }
}

contract Account {
    struct Call {
        address target;
        uint256 value;
        bytes data;
    }

    function execute(address target, uint256 value, bytes calldata data) public payable {
        (bool done,) = target.call{value: value}(data);
        require(done, "inner");
    }

    function executeBatch(Call[] calldata calls) external payable {
        for (uint256 i = 0; i < calls.length; i++) execute(calls[i].target, calls[i].value, calls[i].data);
    }

    function execTransaction(
        address to,
        uint256 value,
        bytes calldata data,
        uint8 operation,
        uint256,
        uint256,
        uint256,
        address,
        address payable,
        bytes calldata
    ) external payable {
        require(operation == 0, "operation");
        execute(to, value, data);
    }

    receive() external payable {}
}

contract EntryPoint {
    struct Operation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    mapping(address => uint256) public deposits;

    function handleOps(Operation[] calldata operations, address payable) external {
        for (uint256 i = 0; i < operations.length; i++) {
            (bool done,) = operations[i].sender.call(operations[i].callData);
            require(done, "inner");
        }
    }

    function depositTo(address account) external payable {
        deposits[account] += msg.value;
    }
}

contract Shop {
    function buy(address collection, uint256 id) external payable {
        require(msg.value >= 0.01 ether, "price");
        Items721(collection).mint(msg.sender, id);
    }

    function claim(address to, uint256 amount) external {
        IToken(0x2222222222222222222222222222222222222222).mint(to, amount);
    }
}

/// What an agent deploys.
contract Counter {
    uint256 public count;

    constructor(uint256 start) payable {
        count = start;
    }
}
